/**
 * Engines that are already here: running on this machine, or installed, with their models. A running one is found by
 * asking the usual ports on loopback and known by its answers; an installed one by its program and its model folders.
 */
import { access, constants, readdir } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { EngineFound } from '../../protocol/machine.ts'
import { type Ask, askLoopback } from './ask.ts'
import { exo } from './exo.ts'
import type { KnownServer } from './known-server.ts'
import { llamaRouter, llamaServer } from './llama-server.ts'
import { lmStudio } from './lm-studio.ts'
import { mlx } from './mlx.ts'
import { ollama } from './ollama.ts'
import { vllm } from './vllm.ts'

/** The sure ones first: the last knows its engine only by what it is made of. */
const known: readonly KnownServer[] = [llamaRouter, llamaServer, vllm, exo, ollama, lmStudio, mlx]

/** For all questions to one port. A server on this machine answers in milliseconds; a busy Python one takes a while. */
const PATIENCE_MS = 600
const MOST_MODELS = 500

export interface SearchOptions {
  env: Record<string, string | undefined>
  /** The user's folder. */
  userFolder: string
  /** Where to ask; the usual ports unless told otherwise. */
  ports?: readonly number[]
  patienceMs?: number
}

/** Running engines first, then those that are only installed. Never throws. */
export async function findEngines(options: SearchOptions): Promise<EngineFound[]> {
  const ports = options.ports ?? usualPorts(options.env)
  const [running, installed] = await Promise.all([
    Promise.all(ports.map((port) => identify(port, options.patienceMs ?? PATIENCE_MS))),
    Promise.all(known.map((server) => findInstalled(server, options))),
  ])
  const found = running.filter((engine) => engine !== null)
  const here = new Set(found.map((engine) => engine.id))
  return [...found, ...installed.filter((engine) => engine !== null && !here.has(engine.id))].filter(
    (engine) => engine !== null,
  )
}

/** The engines' own ports, and the one Ollama was moved to. */
export function usualPorts(env: Record<string, string | undefined>): number[] {
  const ports = new Set(known.map((server) => server.port))
  const [, host, moved] = /^(?:https?:\/\/)?(.*?)(?::(\d+))?\/?$/.exec(env.OLLAMA_HOST?.trim() ?? '') ?? []
  // On another machine it is no engine of this one.
  if (moved && /^(|localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])$/.test(host ?? '')) ports.add(Number(moved))
  return [...ports].filter((port) => port > 0 && port < 65_536)
}

async function identify(port: number, patienceMs: number): Promise<EngineFound | null> {
  const ask: Ask = askLoopback(port, AbortSignal.timeout(patienceMs))
  const models = await ask('/v1/models')
  for (const server of known) {
    const recognised = await server.recognise(models, ask)
    if (!recognised) continue
    return {
      id: server.id,
      available: recognised.whyNot === undefined,
      version: recognised.version,
      path: null,
      url: `http://127.0.0.1:${port}`,
      models: recognised.models.slice(0, MOST_MODELS),
      whyNot: recognised.whyNot ?? null,
      hint: recognised.hint ?? null,
    }
  }
  return null
}

async function findInstalled(server: KnownServer, options: SearchOptions): Promise<EngineFound | null> {
  const path = await findProgram(server, options)
  if (path === null) return null
  const extra =
    server.id === 'ollama' && options.env.OLLAMA_MODELS ? [join(options.env.OLLAMA_MODELS, 'manifests')] : []
  const folders = [...extra, ...server.modelFolders.map((folder) => inUserFolder(folder, options))]
  const models = await Promise.all(folders.map((folder) => listModels(server, folder)))
  return {
    id: server.id,
    available: false,
    version: null,
    path,
    url: null,
    models: [...new Set(models.flat())].slice(0, MOST_MODELS),
    whyNot: 'It is installed but not running.',
    hint: server.start,
  }
}

function inUserFolder(path: string, options: SearchOptions): string {
  return path.startsWith('~') ? join(options.userFolder, path.slice(1)) : path
}

async function findProgram(server: KnownServer, options: SearchOptions): Promise<string | null> {
  const folders = (options.env.PATH ?? options.env.Path ?? '').split(delimiter).filter(Boolean)
  const suffixes = process.platform === 'win32' ? ['.exe', '.cmd'] : ['']
  const candidates = [
    ...folders.flatMap((folder) =>
      server.commands.flatMap((name) => suffixes.map((suffix) => join(folder, name + suffix))),
    ),
    ...server.places.map((place) => inUserFolder(place, options)),
  ]
  for (const candidate of candidates) {
    const there = await access(candidate, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (there) return candidate
  }
  return null
}

async function listModels(server: KnownServer, folder: string, parts: string[] = []): Promise<string[]> {
  if (parts.length === server.modelDepth) return [server.modelName(parts)].filter((name) => name !== null)
  const entries = await readdir(join(folder, ...parts), { withFileTypes: true }).catch(() => [])
  const wanted = entries
    .filter((entry) => !entry.name.startsWith('.'))
    .filter((entry) => entry.isDirectory() || (entry.isFile() && parts.length + 1 === server.modelDepth))
    .slice(0, MOST_MODELS)
  const below = await Promise.all(wanted.map((entry) => listModels(server, folder, [...parts, entry.name])))
  return below.flat()
}
