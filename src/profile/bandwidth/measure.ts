/**
 * How fast this machine reads and copies memory, the figure that bounds how fast it decodes; and the clock of its cores
 * when all of them are busy, which no system tells and which bounds how fast a processor prefills. Real threads, a buffer far
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
import { type BandwidthPlan, isDisturbed, slices, summarise, type Window } from './plan.ts'
import type { Done, Kind, Task, ThreadSetup } from './thread.ts'

type Bandwidth = MachineProfile['bandwidth'][number]

/** A healthy run takes under 3 s; a machine so busy that it takes this long gives no figure worth keeping. */
const GIVE_UP_MS = 20_000
/** Even on a machine too busy to finish in time, a figure has this many. */
const FEWEST_WINDOWS = 2
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

  const repeatUntil = performance.now() + plan.patienceMs
  const results: Bandwidth[] = []
  for (const count of plan.threadCounts) {
    const team = threads.slice(0, count)
    const read = await measureKind('read', team, plan, repeatUntil, signal)
    const copy = await measureKind('copy', team, plan, repeatUntil, signal)
    const spin = await measureKind('spin', team, plan, repeatUntil, signal)
    results.push({
      threads: count,
      readBytesS: read.perS,
      copyPayloadBytesS: copy.perS,
      copyBusBytesS: 2 * copy.perS,
      clockHz: spin.perS / count,
      ...(read.disturbed || copy.disturbed ? { disturbed: true } : {}),
    })
  }
  return results
}

async function measureKind(
  kind: Kind,
  team: Worker[],
  plan: BandwidthPlan,
  repeatUntil: number,
  signal: AbortSignal,
): Promise<{ perS: number; disturbed: boolean }> {
  await measureWindow(kind, team, plan, signal)
  const windows: Window[] = []
  let calm = 0
  while (calm < plan.samples && (windows.length < FEWEST_WINDOWS || performance.now() < repeatUntil)) {
    const window = await measureWindow(kind, team, plan, signal)
    windows.push(window)
    if (!isDisturbed(window)) calm++
  }
  return summarise(windows)
}

async function measureWindow(
  kind: Kind,
  team: Worker[],
  plan: BandwidthPlan,
  signal: AbortSignal,
): Promise<Window> {
  const parts = slices(plan.bufferBytes, team.length)
  const cpuBefore = process.cpuUsage()
  const askedNs = process.hrtime.bigint()
  const startNs = askedNs + LEAD_NS
  const endNs = startNs + BigInt(plan.windowMs) * 1_000_000n
  const done = await runAll(team, signal, (index) => ({ kind, slice: parts[index]!, startNs, endNs }))
  const elapsedUs = Number(process.hrtime.bigint() - askedNs) / 1000
  const cpu = process.cpuUsage(cpuBefore)
  const perS = done.reduce((sum, { amount, ns }) => sum + (amount / ns) * 1e9, 0)
  // The threads wait for the start by spinning, so that all of the time asked for counts.
  const cpuShare = (cpu.user + cpu.system) / (elapsedUs * team.length)
  // Cycles belong to the time that the threads had a core for: another program takes the core, not its clock.
  return kind === 'spin' ? { perS: perS / Math.min(1, cpuShare), cpuShare: 1 } : { perS, cpuShare }
}

/** One task for each thread; resolves when all have answered. `once` also rejects when a thread fails. */
function runAll(threads: Worker[], signal: AbortSignal, task: (index: number) => Task): Promise<Done[]> {
  return Promise.all(
    threads.map(async (thread, index) => {
      const answer = once(thread, 'message', { signal })
      thread.postMessage(task(index))
      const [done] = (await answer) as [Done]
      return done
    }),
  )
}
