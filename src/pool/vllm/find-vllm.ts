/** The `vllm` program of this machine, its version, and the graphics cards that it would use. */
import { readdirSync } from 'node:fs'
import { access, constants, stat } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import type { Home } from '../../core/home.ts'
import { runCommand } from '../../profile/run-command.ts'

export interface VllmFound {
  path: string
  version: string
  /** Beside it, for versions that need it to reach other machines. */
  ray: { path: string; version: string } | null
}

/** Folders where it may be, best first. */
export function vllmPlaces(home: Home, env: NodeJS.ProcessEnv = process.env): string[] {
  let built: string[] = []
  try {
    built = readdirSync(home.engines).filter((name) => name.startsWith('vllm'))
  } catch {
    // A home without engines has none.
  }
  const onPath = (env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return [...built.sort().map((name) => join(home.engines, name, 'bin')), ...onPath]
}

/** One look per process and program, as long as the file is the same: importing torch takes many seconds. */
const looked = new Map<string, Promise<string | null>>()

export async function findVllm(places: readonly string[]): Promise<VllmFound | null> {
  for (const place of new Set(places)) {
    const path = join(place, 'vllm')
    const version = await versionOf(path, 90_000)
    if (version === null) continue
    if (!needsRay(version)) return { path, version, ray: null }
    const ray = join(place, 'ray')
    const rayVersion = await versionOf(ray, 30_000)
    return { path, version, ray: rayVersion === null ? null : { path: ray, version: rayVersion } }
  }
  return null
}

/** The last version on the last line of `--version`; null when there is no such program, or it says none. */
async function versionOf(path: string, timeoutMs: number): Promise<string | null> {
  if (!(await isProgram(path))) return null
  const key = await stat(path).then(
    ({ mtimeMs, size }) => `${path}|${mtimeMs}|${size}`,
    () => path,
  )
  const look = looked.get(key) ?? runCommand(path, ['--version'], { timeoutMs })
  looked.set(key, look)
  const version = /(\d+\.\d+\.\d+\S*)\s*$/.exec((await look) ?? '')?.[1] ?? null
  if (version === null) looked.delete(key)
  return version
}

function isProgram(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** It reaches other machines by itself since 0.18; before, Ray carries it. */
export function needsRay(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10))
  return major === 0 && minor < 18
}

/** `cuda0`, `cuda1`, … */
export async function cudaDevices(): Promise<string[]> {
  const text = await runCommand('nvidia-smi', ['--query-gpu=index', '--format=csv,noheader,nounits'])
  return (text ?? '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^\d+$/.test(line))
    .map((index) => `cuda${index}`)
}
