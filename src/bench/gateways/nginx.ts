/** nginx as a plain reverse proxy with one worker: how cheap relaying gets in C, without looking at a request. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuOfProcess, freePort, type Gateway, untilAnswers } from './gateway.ts'

const places = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/opt/homebrew/bin/nginx', '/usr/local/bin/nginx']

/** Null when it is not installed. */
export async function startNginx(engine: string): Promise<Gateway | null> {
  const program = places.find(existsSync)
  if (program === undefined) return null
  const folder = mkdtempSync(join(tmpdir(), 'holon-nginx-'))
  mkdirSync(join(folder, 'tmp'))
  const port = await freePort()
  writeFileSync(join(folder, 'nginx.conf'), config(folder, port, new URL(engine).host))
  const child = spawn(
    program,
    ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', join(folder, 'error.log')],
    {
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  )
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

/** What a guide for relaying tokens says: HTTP/1.1 and kept connections to the engine, and nothing held back. */
function config(folder: string, port: number, engine: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((kind) => `${kind}_temp_path ${folder}/tmp/${kind};`)
    .join('\n  ')
  return `daemon off;
master_process off;
pid ${folder}/nginx.pid;
events { worker_connections 1024; }
http {
  access_log off;
  ${temp}
  keepalive_requests 10000000;
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
  }
}
`
}
