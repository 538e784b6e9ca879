import { execFile } from 'node:child_process'
import { accessSync, constants, statSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** What one llama-server binary says of itself. */
export interface LlamaServerBinary {
  path: string
  version: string
  /** Built with the RPC backend, so that it can head a pool. */
  rpc: boolean
  /** The worker beside it, when there is one. */
  rpcWorker: string | null
  /** Options it knows, as `--help` spells them. */
  flags: ReadonlySet<string>
}

const timeoutMs = 10_000
const known = new Map<string, Promise<LlamaServerBinary | null>>()

/**
 * Asks a binary for its version and options; null when it cannot run. Remembered until the file changes, but for a null: a
 * machine that was busy, or a library that was missing, is no property of the file.
 */
export async function inspectBinary(path: string): Promise<LlamaServerBinary | null> {
  let stamp: string
  try {
    accessSync(path, constants.X_OK)
    const { mtimeMs, size } = statSync(path)
    stamp = `${path}|${mtimeMs}|${size}`
  } catch {
    return null
  }
  const asked = known.get(stamp) ?? ask(path)
  known.set(stamp, asked)
  const found = await asked
  if (found === null) known.delete(stamp)
  return found
}

async function ask(path: string): Promise<LlamaServerBinary | null> {
  const [versionText, help] = await Promise.all([output(path, '--version'), output(path, '--help')])
  const version = parseVersion(versionText ?? '')
  if (version === null || help === null) return null
  const flags = parseFlags(help)
  return { path, version, rpc: flags.has('--rpc'), rpcWorker: findWorker(path), flags }
}

/** `version: 0.5.0-dev (build 1, commit de3ff81)` today, `version: 6123 (abc1234)` in older builds. */
export function parseVersion(text: string): string | null {
  const line = /^version: (.+)$/m.exec(text)?.[1]
  return line?.replace(/, commit [0-9a-f]+/, '').trim() ?? null
}

/** Every option named on a line that begins with one; a mention in a description is one that exists too. */
export function parseFlags(help: string): Set<string> {
  const flags = new Set<string>()
  for (const line of help.split('\n')) {
    if (!line.startsWith('-')) continue
    for (const [flag] of line.matchAll(/(?<![\w-])--?[a-z][a-z0-9-]*/gi)) flags.add(flag)
  }
  return flags
}

function findWorker(server: string): string | null {
  // The worker was renamed in 2026.
  for (const name of ['ggml-rpc-server', 'rpc-server']) {
    const path = join(dirname(server), process.platform === 'win32' ? `${name}.exe` : name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      // Try the other name.
    }
  }
  return null
}

function output(path: string, flag: string): Promise<string | null> {
  return new Promise((resolve) => {
    execFile(path, [flag], { timeout: timeoutMs, maxBuffer: 4 * 2 ** 20 }, (error, stdout, stderr) => {
      resolve(error ? null : `${stdout}\n${stderr}`)
    })
  })
}
