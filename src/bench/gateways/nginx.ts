/** nginx as a plain reverse proxy with one worker: how cheap relaying gets in C, without looking at a request. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuOfProcess, freePort, type Gateway, untilAnswers } from './gateway.ts'

/** Where it may be, best first. */
export const nginxPlaces = [
  '/usr/sbin/nginx',
  '/usr/local/sbin/nginx',
  '/opt/homebrew/bin/nginx',
  '/usr/local/bin/nginx',
]

/** Null when it is not installed. */
export async function startNginx(engine: string): Promise<Gateway | null> {
  const program = nginxPlaces.find(existsSync)
  if (program === undefined) return null
  const folder = mkdtempSync(join(tmpdir(), 'holon-nginx-'))
  const port = await freePort()
  const child = spawnNginx(program, folder, relay(port, new URL(engine).host))
  const gone = once(child, 'exit')
  const origin = `http://127.0.0.1:${port}`
  await untilAnswers(origin)
  return {
    name: 'nginx',
    version: versionOf(program),
    origin,
    headers: {},
    cpuUs: async () => cpuOfProcess(child.pid!),
    stop: async () => {
      child.kill('SIGTERM')
      await gone
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function versionOf(program: string): string {
  // It says its version on stderr.
  const { stderr } = spawnSync(program, ['-v'], { encoding: 'utf8' })
  return stderr.trim().split('/').at(-1) || 'unknown'
}

/** One worker in the foreground, with everything it writes in `folder`. @param http what stands in its http block */
export function spawnNginx(program: string, folder: string, http: string): ChildProcess {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  mkdirSync(join(folder, 'tmp'), { recursive: true })
  const file = join(folder, 'nginx.conf')
  const config = `daemon off;
master_process off;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log;
events { worker_connections 1024; }
http {
  access_log off;
  ${temp.map((kind) => `${kind}_temp_path ${folder}/tmp/${kind};`).join('\n  ')}
${http}
}
`
  writeFileSync(file, config)
  return spawn(program, ['-p', folder, '-c', file, '-e', join(folder, 'error.log')], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
}

/** What a guide for relaying tokens says: HTTP/1.1 and kept connections to the engine, and nothing held back. */
const relay = (port: number, engine: string): string => `  keepalive_requests 10000000;
  upstream engine { server ${engine}; keepalive 256; keepalive_requests 10000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://engine;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
      proxy_read_timeout 1h;
    }
  }`
