/**
 * Portkey's gateway, the one of the known gateways that runs on Node too. It is no dependency of Holon: the bench
 * installs it once into a cache.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { cpuOfProcess, freePort, type Gateway, untilAnswers } from './gateway.ts'

const version = '1.15.2'
/** Within the range that Portkey asks for; with later ones its streams fail on Node 20 (`TypeError: immutable`). */
const nodeServer = '1.13.7'
const folder = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'holon',
  'bench',
  `portkey-${version}-${nodeServer}`,
)
const program = join(folder, 'node_modules', '@portkey-ai', 'gateway', 'build', 'start-server.js')

/** Null when it is not there and cannot be installed. @param say told what takes long */
export async function startPortkey(engine: string, say: (text: string) => void): Promise<Gateway | null> {
  if (!existsSync(program) && !install(say)) return null
  const port = await freePort()
  const child = spawn(process.execPath, [program, `--port=${port}`, '--headless'], {
    env: { ...process.env, NODE_ENV: 'production' },
    stdio: 'ignore',
  })
  const gone = once(child, 'exit')
  const origin = `http://127.0.0.1:${port}`
  await untilAnswers(origin)
  return {
    name: 'portkey',
    version,
    origin,
    headers: {
      authorization: 'Bearer bench',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${engine}/v1`,
    },
    cpuUs: async () => cpuOfProcess(child.pid!),
    stop: async () => {
      child.kill('SIGTERM')
      await gone
    },
  }
}

function install(say: (text: string) => void): boolean {
  say(`Installing Portkey's gateway ${version} into ${folder} (once) …`)
  mkdirSync(folder, { recursive: true })
  const manifest = { private: true, overrides: { '@hono/node-server': nodeServer } }
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest))
  const done = spawnSync(
    'npm',
    [
      'install',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      `@portkey-ai/gateway@${version}`,
    ],
    {
      cwd: folder,
      stdio: ['ignore', 'ignore', 'inherit'],
      shell: process.platform === 'win32',
      timeout: 300_000,
    },
  )
  return done.status === 0 && existsSync(program)
}
