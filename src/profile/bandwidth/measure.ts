/**
 * How fast this machine reads and copies memory: the figure that bounds how fast it decodes. Real threads, a buffer far
 * larger than the caches, a warm-up, the median of several windows, and under 3 seconds in all.
 *
 * Payload and bus traffic are told apart. A read moves each byte once. A copy of n bytes reads n and writes n: 2n on the
 * bus at the least. Where the stores first fetch the line they overwrite (write-allocate: ordinary x86 stores do, long
 * memmoves and Apple's cores mostly avoid it) the bus carries up to 3n; 2n is what is reported, as the lower bound.
 */
import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import { childEntry } from '../../core/child-entry.ts'
import { HolonError } from '../../core/errors.ts'
import type { MachineProfile } from '../../protocol/machine.ts'
import { allocateShared, compileKernel } from './kernel.ts'
import { type BandwidthPlan, median, slices } from './plan.ts'
import type { Moved, Task, ThreadSetup } from './thread.ts'

type Bandwidth = MachineProfile['bandwidth'][number]

/** A healthy run takes under 3 s; a machine so busy that it takes this long gives no figure worth keeping. */
const GIVE_UP_MS = 20_000
/** Time for every thread to have its task before the common start. */
const LEAD_NS = 2_000_000n

/**
 * Measures by the plan. Uses all the cores it is told to, so run it when nothing else should be fast.
 * @throws HolonError internal when the threads fail or do not finish
 */
export async function measureBandwidth(plan: BandwidthPlan): Promise<Bandwidth[]> {
  const threads: Worker[] = []
  const giveUp = new AbortController()
  const timer = setTimeout(() => giveUp.abort(), GIVE_UP_MS)
  try {
    const workerData: ThreadSetup = { module: compileKernel(), memory: allocateShared(plan.bufferBytes) }
    const entry = childEntry(import.meta.url, './thread.ts')
    const most = Math.max(...plan.threadCounts)
    for (let index = 0; index < most; index++) threads.push(new Worker(entry, { workerData, execArgv: [] }))
    return await measureWith(threads, plan, giveUp.signal)
  } catch (cause) {
    const why = giveUp.signal.aborted ? 'it did not finish in time' : (cause as Error).message
    throw new HolonError('internal', `Measuring the memory bandwidth failed: ${why}.`, { cause })
  } finally {
    clearTimeout(timer)
    await Promise.all(threads.map((thread) => thread.terminate()))
  }
}

async function measureWith(
  threads: Worker[],
  plan: BandwidthPlan,
  signal: AbortSignal,
): Promise<Bandwidth[]> {
  const whole = slices(plan.bufferBytes, threads.length)
  await runAll(threads, signal, (index) => ({ kind: 'fill', slice: whole[index]! }))

  const results: Bandwidth[] = []
  for (const count of plan.threadCounts) {
    const team = threads.slice(0, count)
    const parts = slices(plan.bufferBytes, count)
    const rates = { read: [] as number[], copy: [] as number[] }
    for (const kind of ['read', 'copy'] as const) {
      for (let sample = -1; sample < plan.samples; sample++) {
        const startNs = process.hrtime.bigint() + LEAD_NS
        const endNs = startNs + BigInt(plan.windowMs) * 1_000_000n
        const moved = await runAll(team, signal, (index) => ({ kind, slice: parts[index]!, startNs, endNs }))
        const rate = moved.reduce((sum, { bytes, ns }) => sum + (bytes / ns) * 1e9, 0)
        if (sample >= 0) rates[kind].push(rate)
      }
    }
    const copied = median(rates.copy)
    results.push({
      threads: count,
      readBytesS: median(rates.read),
      copyPayloadBytesS: copied,
      copyBusBytesS: 2 * copied,
    })
  }
  return results
}

/** One task for each thread; resolves when all have answered. `once` also rejects when a thread fails. */
function runAll(threads: Worker[], signal: AbortSignal, task: (index: number) => Task): Promise<Moved[]> {
  return Promise.all(
    threads.map(async (thread, index) => {
      const answer = once(thread, 'message', { signal })
      thread.postMessage(task(index))
      const [moved] = (await answer) as [Moved]
      return moved
    }),
  )
}
