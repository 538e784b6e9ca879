import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import type { EngineExit } from '../engine.ts'

/** Child processes that end when told to, take their children with them, and are asked why they died. */
export interface SpawnOptions {
  command: string
  args: readonly string[]
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** An IPC channel, for children that are Node programs of ours. */
  ipc?: boolean
  /** Every line on stdout or stderr. */
  onLine?: (line: string) => void
}

export interface Spawned {
  readonly pid: number
  readonly process: ChildProcess
  readonly exited: Promise<EngineExit>
  /** The last lines of its output, oldest first. */
  lastLines(): string[]
  /** SIGTERM to the process and all its children, SIGKILL after `graceMs`. Resolves when it is gone. */
  stop(graceMs?: number): Promise<void>
}

const keptLines = 60
const longestLine = 2000
const defaultGraceMs = 5000

/** Resolves once the program runs; rejects when it cannot be started. */
export function spawnChild(options: SpawnOptions): Promise<Spawned> {
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    // A group of its own: a signal to the group reaches grandchildren, and the terminal's Ctrl-C does not.
    detached: process.platform !== 'win32',
    windowsHide: true,
    stdio: ['pipe', 'pipe', 'pipe', ...(options.ipc ? (['ipc'] as const) : [])],
  })
  const lines: string[] = []
  const onLine = (line: string): void => {
    const short = line.length > longestLine ? `${line.slice(0, longestLine)}...` : line
    if (lines.push(short) > keptLines) lines.shift()
    options.onLine?.(short)
  }
  readLines(child.stdout, onLine)
  readLines(child.stderr, onLine)
  // A child that dies while we write to it must not take us along.
  child.stdin?.on('error', () => undefined)
  let stopping = false
  const exited = new Promise<EngineExit>((resolve) => {
    child.once('exit', (code, signal) => {
      const reason = stopping ? 'The engine was stopped.' : describeExit(code, signal, lines)
      resolve({ code, signal, reason })
    })
  })
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('spawn', () => {
      const pid = child.pid as number
      child.on('error', () => undefined)
      resolve({
        pid,
        process: child,
        exited,
        lastLines: () => [...lines],
        stop: (graceMs = defaultGraceMs) => {
          stopping = true
          return stopTree(child, pid, exited, graceMs)
        },
      })
    })
  })
}

function readLines(stream: Readable | null, onLine: (line: string) => void): void {
  if (!stream) return
  createInterface({ input: stream, crlfDelay: Number.POSITIVE_INFINITY }).on('line', onLine)
  stream.on('error', () => undefined)
}

async function stopTree(
  child: ChildProcess,
  pid: number,
  exited: Promise<EngineExit>,
  graceMs: number,
): Promise<void> {
  const gone = exited.then(() => true)
  if (child.exitCode === null && child.signalCode === null) {
    signalTree(pid, 'SIGTERM')
    const timer = new Promise<false>((resolve) => setTimeout(resolve, graceMs, false).unref())
    if (!(await Promise.race([gone, timer]))) signalTree(pid, 'SIGKILL')
    await gone
  }
  // Its children, if any outlived it: the group's number stays theirs.
  signalTree(pid, 'SIGKILL')
}

function signalTree(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(process.platform === 'win32' ? pid : -pid, signal)
  } catch {
    // Already gone.
  }
}

const signalWords: Partial<Record<string, string>> = {
  SIGSEGV: 'crashed (memory fault)',
  SIGABRT: 'gave up (abort)',
  SIGILL: 'used an instruction this processor does not have',
  SIGBUS: 'lost access to its model file',
  SIGKILL: 'was killed (by someone, or by the system for want of memory)',
}

/** One sentence for people, with the engine's own last complaint when it left one. */
export function describeExit(code: number | null, signal: string | null, lines: readonly string[]): string {
  const how =
    signal !== null
      ? (signalWords[signal] ?? `was ended by ${signal}`)
      : code === 0
        ? 'ended'
        : `ended with code ${code}`
  const complaint = lines.findLast((line) => /error|fail|abort|assert|exception|invalid/i.test(line))
  return complaint ? `The engine ${how}: ${complaint.trim().slice(0, 300)}` : `The engine ${how}.`
}
