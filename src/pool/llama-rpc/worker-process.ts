/** One RPC worker: started so that a head that dies early cannot take it along, and asked for its word before its head comes. */
import { mkdir } from 'node:fs/promises'
import { HolonError } from '../../core/errors.ts'
import type { Spawned } from '../../engines/shared/spawn.ts'
import { Guard } from '../../engines/shared/spawn-guarded.ts'
import { freePort } from '../wire/listen.ts'
import { probeIdleWorker, type WorkerWord } from './worker-probe.ts'

export interface WorkerOptions {
  binary: string
  host: string
  devices: readonly string[]
  threads: number
  /** Folder for received weights; null keeps nothing. */
  cache: string | null
  /** Let it negotiate remote direct memory access: on an isolated link only, for nothing encrypts it. */
  rdma: boolean
  /** One that is up already, to run it under. */
  guard?: Guard
  onLine?(line: string): void
  signal?: AbortSignal
}

export interface Worker {
  child: Spawned & { enginePid: number }
  port: number
  word: WorkerWord
}

/** llama.cpp agrees on RDMA by itself, when both ends have it, unless one of them is told this. */
export const noRdma = { GGML_RPC_NO_RDMA: '1' } as const

const attempts = 3
const startWithinMs = 20_000
/** It listens some 15 ms after its start, and says nothing of it that is not held back in a pipe. */
const lookEveryMs = 5

/** @throws HolonError engine_unavailable, pool_wire_failed; the signal's reason. Nothing is left behind then */
export async function startWorker(options: WorkerOptions): Promise<Worker> {
  for (let attempt = 1; ; attempt++) {
    const started = await tryStart(options, attempt === 1 ? options.guard : undefined)
    if ('child' in started) return started
    // Somebody took the port between our looking and its binding: look for another.
    if (attempt < attempts && /socket|bind|address/i.test(started.why)) continue
    throw new HolonError('engine_unavailable', `The RPC worker of llama.cpp does not start. ${started.why}`, {
      source: 'engine',
      hint: 'Run `holon doctor`; a driver or a library may be missing.',
    })
  }
}

async function tryStart(options: WorkerOptions, guard: Guard | undefined): Promise<Worker | { why: string }> {
  const { host, signal } = options
  const port = await freePort(host)
  if (options.cache !== null) await mkdir(options.cache, { recursive: true, mode: 0o700 })
  signal?.throwIfAborted()
  const child = await (guard ?? new Guard()).run({
    ...commandLine(options, port),
    env: environment(options),
    onLine: options.onLine,
  })
  let over: string | null = null
  void child.exited.then(({ reason }) => {
    over = reason
  })
  const until = performance.now() + startWithinMs
  for (;;) {
    if (over !== null) return { why: over }
    const word = signal?.aborted ? null : await probeIdleWorker(host, port)
    if (word && over === null && !signal?.aborted) return { child, port, word }
    if (signal?.aborted || performance.now() > until) {
      await child.stop(0)
      signal?.throwIfAborted()
      return { why: `It did not answer within ${startWithinMs / 1000} s.` }
    }
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs))
  }
}

function commandLine(
  { binary, host, devices, threads, cache }: WorkerOptions,
  port: number,
): { command: string; args: string[] } {
  const args = ['-H', host, '-p', String(port), '-t', String(threads)]
  if (devices.length > 0) args.push('-d', devices.join(','))
  if (cache !== null) args.push('-c')
  if (process.platform === 'win32') return { command: binary, args }
  // It dies of SIGPIPE when it answers a head that has gone; what is ignored stays ignored across exec.
  return { command: '/bin/sh', args: ['-c', 'trap "" PIPE; exec "$0" "$@"', binary, ...args] }
}

function environment({ cache, rdma }: WorkerOptions): NodeJS.ProcessEnv {
  return {
    ...process.env,
    ...(cache === null ? {} : { LLAMA_CACHE: cache }),
    ...(rdma ? {} : noRdma),
  }
}
