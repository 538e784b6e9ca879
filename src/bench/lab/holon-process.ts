/** The real command line as processes of their own, and what the system says of them: for tests and benches of whole fleets. */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Wherever this runs from, `src` or `dist`: the programs are the built ones. */
const root = fileURLToPath(new URL('../../..', import.meta.url))
const main = join(root, 'dist', 'cli', 'main.js')

export interface Finished {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

export interface Running {
  child: ChildProcess
  /** What has been printed until now. */
  output(): { stdout: string; stderr: string }
  /** Resolves when `pattern` has appeared on stdout or stderr. */
  until(pattern: RegExp): Promise<RegExpMatchArray>
  finished: Promise<Finished>
}

export type Where = (program: string, ...args: string[]) => { program: string; args: string[] }

/** Starts the real command line as its own process. The environment holds only what is given, PATH and HOME. */
export function startCli(
  args: string[],
  env: Record<string, string>,
  /** How to run a program elsewhere than here, in a network namespace for example. */
  where: Where = (program, ...words) => ({ program, args: words }),
): Running {
  const { PATH = '', HOME = '' } = process.env
  const line = where(process.execPath, main, ...args)
  const child = spawn(line.program, line.args, {
    // An Ollama that happens to run here is none of the tests' business.
    env: { PATH, HOME, NO_COLOR: '1', HOLON_ATTACH: 'off', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  const looks = new Set<() => void>()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    for (const look of looks) look()
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    for (const look of looks) look()
  })
  const finished = new Promise<Finished>((resolve) => {
    child.on('close', (code, signal) => {
      resolve({ code, signal, stdout, stderr })
      for (const look of looks) look()
    })
  })
  const until = (pattern: RegExp) =>
    new Promise<RegExpMatchArray>((resolve, reject) => {
      const look = () => {
        const found = `${stdout}\n${stderr}`.match(pattern)
        if (!found && child.exitCode === null && child.signalCode === null) return
        looks.delete(look)
        if (found) resolve(found)
        else
          reject(new Error(`holon ${args.join(' ')} ended before ${pattern} appeared:\n${stdout}\n${stderr}`))
      }
      looks.add(look)
      look()
    })
  return { child, output: () => ({ stdout, stderr }), until, finished }
}

export const runCli = (args: string[], env: Record<string, string>, where?: Where): Promise<Finished> =>
  startCli(args, env, where).finished

/** Every process below `pid`, by the system's own account (Linux). */
export function descendants(pid: number): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8')
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]))
    } catch {
      // It ended while we looked.
    }
  }
  const below = (parent: number): number[] =>
    [...parents].filter(([, its]) => its === parent).flatMap(([child]) => [child, ...below(child)])
  return below(pid)
}

export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return !stat.slice(stat.lastIndexOf(')') + 2).startsWith('Z')
  } catch {
    return false
  }
}

/** Waits until `condition` holds, looking often; fails with `what` when it does not within `ms`. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  ms = 20_000,
): Promise<void> {
  const end = Date.now() + ms
  while (!(await condition())) {
    if (Date.now() > end) throw new Error(`waited ${ms} ms in vain for: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
