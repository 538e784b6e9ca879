import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus } from 'node:os'
import { dirname } from 'node:path'
import type { NativeContext } from './binding.ts'

/**
 * Thread counts chosen by measurement. More threads than the memory bus or the neighbours allow make decode slower,
 * sometimes ten times (each layer waits for the slowest), and which count wins depends on model and machine.
 */
export interface Threads {
  decode: number
  prefill: number
}

/** 1, 2, 4 ... up to all, and the count of fast cores. */
export function threadCandidates(logical: number, mathCores: number): number[] {
  const counts = new Set<number>([Math.max(1, Math.min(mathCores, logical)), Math.max(1, logical)])
  for (let count = 1; count < logical; count *= 2) counts.add(count)
  return [...counts].sort((a, b) => a - b)
}

/** The fewest threads within 3 % of the fastest: the rest of the machine is not ours. */
export function fastest(times: ReadonlyMap<number, number>): number {
  const best = Math.min(...times.values())
  const good = [...times].filter(([, time]) => time <= best * 1.03).map(([count]) => count)
  return Math.min(...good)
}

const decodeTokens = 4
const prefillTokens = 32
const rounds = 3
/** A first launch may take this much longer, no more: on a slow machine fewer rounds must do. */
const budgetMs = 1500

/** Runs short decodes and prefills on sequence 0, which is empty again afterwards. */
export async function measureThreads(
  context: NativeContext,
  candidates: readonly number[],
  batchSize: number,
): Promise<Threads> {
  const end = performance.now() + budgetMs
  const decode = await race(candidates, end, (count, limit) => timeDecode(context, count, limit))
  const size = Math.min(prefillTokens, batchSize)
  const prefill = await race(candidates, end, (count) => timePrefill(context, count, size))
  context.disposeSequence(0)
  return { decode: fastest(decode), prefill: fastest(prefill) }
}

/**
 * Time per candidate in milliseconds. Rounds are interleaved, so that a disturbance hits all alike, and a candidate
 * three times slower than the best is out: with too many threads one token can take a tenth of a second.
 */
export async function race(
  candidates: readonly number[],
  end: number,
  time: (count: number, limitMs: number) => Promise<number>,
): Promise<Map<number, number>> {
  const times = new Map<number, number>()
  for (let round = 0; round < rounds; round++) {
    for (const count of candidates) {
      if (times.size > 0 && performance.now() > end) return times
      const best = times.size > 0 ? Math.min(...times.values()) : Number.POSITIVE_INFINITY
      const known = times.get(count)
      if (known !== undefined && known > best * 3) continue
      const took = await time(count, best * 3)
      // Between the best time and the mean: noise must not decide, but a count that stalls now and then must lose.
      times.set(count, known === undefined ? took : (Math.min(known, took) + (known + took) / 2) / 2)
    }
  }
  return times
}

async function timeDecode(context: NativeContext, threads: number, limitMs: number): Promise<number> {
  context.disposeSequence(0)
  context.setThreads(threads)
  await decodeOnce(context, 0, 1)
  const start = performance.now()
  for (let at = 1; at <= decodeTokens; at++) {
    await decodeOnce(context, at, 1)
    const took = performance.now() - start
    if (took > limitMs) return (took / at) * decodeTokens
  }
  return performance.now() - start
}

async function timePrefill(context: NativeContext, threads: number, size: number): Promise<number> {
  context.disposeSequence(0)
  context.setThreads(threads)
  const start = performance.now()
  await decodeOnce(context, 0, size)
  return performance.now() - start
}

async function decodeOnce(context: NativeContext, at: number, size: number): Promise<void> {
  context.initBatch(size)
  context.addToBatch(0, at, new Uint32Array(size), Uint32Array.of(size - 1))
  await context.decodeBatch()
}

/** One token through the model, so that the first request does not pay for page faults. */
export async function warmUp(context: NativeContext): Promise<void> {
  await decodeOnce(context, 0, 1)
  context.disposeSequence(0)
}

const maxEntries = 200

/** Remembers measurements per machine and model shape, in one small JSON file. */
export class ThreadCache {
  private readonly file: string
  private readonly key: string

  constructor(file: string, modelShape: string) {
    this.file = file
    this.key = [cpus()[0]?.model ?? 'cpu', arch(), availableParallelism(), modelShape].join('|')
  }

  read(): Threads | null {
    const entry = this.all()[this.key]
    const valid = entry && Number.isInteger(entry.decode) && Number.isInteger(entry.prefill)
    return valid && entry.decode > 0 && entry.prefill > 0 ? entry : null
  }

  /** A cache that cannot be written is measured again: no reason to fail a launch. */
  write(threads: Threads): void {
    try {
      const entries = Object.entries(this.all()).filter(([key]) => key !== this.key)
      const kept = Object.fromEntries([...entries.slice(1 - maxEntries), [this.key, threads]])
      mkdirSync(dirname(this.file), { recursive: true })
      const temporary = `${this.file}.${process.pid}`
      writeFileSync(temporary, `${JSON.stringify(kept, null, 2)}\n`)
      renameSync(temporary, this.file)
    } catch {
      // See above.
    }
  }

  private all(): Record<string, Threads> {
    try {
      return JSON.parse(readFileSync(this.file, 'utf8')) as Record<string, Threads>
    } catch {
      return {}
    }
  }
}
