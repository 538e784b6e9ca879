import { readdirSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Home } from '../../core/home.ts'
import type { EngineFound } from '../../protocol/machine.ts'
import { inspectBinary, type LlamaServerBinary } from './inspect.ts'

const binaryName = process.platform === 'win32' ? 'llama-server.exe' : 'llama-server'

/** Places llama-server may be, best first: what Holon built, what the person installed, what other homes built. */
export function llamaServerPlaces(home: Home, env: NodeJS.ProcessEnv = process.env): string[] {
  const cache = join(env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon', 'engines')
  const folders = [
    ...builtIn(home.engines),
    ...(env.PATH ?? '').split(delimiter).filter((folder) => folder !== ''),
    '/opt/homebrew/bin',
    '/usr/local/bin',
    '/home/linuxbrew/.linuxbrew/bin',
    ...builtIn(cache),
  ]
  return [...new Set(folders)].map((folder) => join(folder, binaryName))
}

/** Folders like `llama.cpp-v0.5.0/bin`, newest version first. */
function builtIn(engines: string): string[] {
  try {
    const names = readdirSync(engines).filter((name) => name.startsWith('llama.cpp-'))
    names.sort((a, b) => b.localeCompare(a, 'en', { numeric: true }))
    return names.map((name) => join(engines, name, 'bin'))
  } catch {
    return []
  }
}

/** The first binary that runs; one with RPC is preferred only where a caller asks for it. */
export async function findLlamaServer(
  places: readonly string[],
  options: { rpc: boolean } = { rpc: false },
): Promise<LlamaServerBinary | null> {
  for (const path of places) {
    const binary = await inspectBinary(path)
    if (binary && (!options.rpc || (binary.rpc && binary.rpcWorker))) return binary
  }
  return null
}

export async function detectLlamaServer(places: readonly string[]): Promise<EngineFound> {
  const binary = await findLlamaServer(places)
  const withoutRpc =
    'It was built without RPC, so it cannot join a pool: `holon engines install llama.cpp` builds one that can.'
  return {
    id: 'llama-server',
    available: binary !== null,
    version: binary?.version ?? null,
    path: binary?.path ?? null,
    url: null,
    models: [],
    whyNot: binary ? null : 'llama-server was not found on the PATH or in HOLON_HOME.',
    hint: binary ? (binary.rpc ? null : withoutRpc) : 'Run `holon engines install llama.cpp`.',
  }
}
