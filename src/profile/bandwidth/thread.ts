/**
 * One thread of the measurement. It walks its slice of the shared memory, or only calculates, from a common starting time
 * to a common end and says how many bytes it moved, or cycles it took, in how long. It runs as a worker and knows nothing of the other threads.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { MiB } from '../../core/units.ts'
import { type CompiledKernel, openKernel, type SharedMemory, SPIN_CYCLES } from './kernel.ts'
import type { Slice } from './plan.ts'

export interface ThreadSetup {
  module: CompiledKernel
  memory: SharedMemory
}

export type Task =
  | { kind: 'fill'; slice: Slice }
  /** Times are `process.hrtime.bigint()`, which all threads of a process share. */
  | { kind: Kind; slice: Slice; startNs: bigint; endNs: bigint }

export type Kind = 'read' | 'copy' | 'spin'

/** Bytes moved, or cycles. */
export interface Done {
  amount: number
  ns: number
}

/** Short against a window, long against a call: and each call lets the compiler swap in the faster code. */
const READ_CHUNK = MiB
/** Long enough that memmove takes the way it takes for large copies. */
const COPY_CHUNK = 32 * MiB
/** Some 30 microseconds. */
const SPIN_TURNS = 1_000

const { module, memory } = workerData as ThreadSetup
const kernel = openKernel(module, memory)

function readWindow(slice: Slice, endNs: bigint): number {
  let moved = 0
  let at = 0
  do {
    const bytes = Math.min(READ_CHUNK, slice.bytes - at)
    kernel.read(slice.from + at, slice.from + at + bytes)
    moved += bytes
    at = at + bytes >= slice.bytes ? 0 : at + bytes
  } while (process.hrtime.bigint() < endNs)
  return moved
}

function copyWindow(slice: Slice, endNs: bigint): number {
  const half = slice.bytes / 2
  let moved = 0
  let at = 0
  do {
    const bytes = Math.min(COPY_CHUNK, half - at)
    kernel.copy(slice.from + at, slice.from + half + at, bytes)
    moved += bytes
    at = at + bytes >= half ? 0 : at + bytes
  } while (process.hrtime.bigint() < endNs)
  return moved
}

function spinWindow(endNs: bigint): number {
  let cycles = 0
  do {
    kernel.spin(SPIN_TURNS)
    cycles += SPIN_TURNS * SPIN_CYCLES
  } while (process.hrtime.bigint() < endNs)
  return cycles
}

function amountIn({ kind, slice, endNs }: Exclude<Task, { kind: 'fill' }>): number {
  if (kind === 'spin') return spinWindow(endNs)
  return kind === 'read' ? readWindow(slice, endNs) : copyWindow(slice, endNs)
}

function run(task: Task): Done {
  if (task.kind === 'fill') {
    // Written, not merely reserved: all untouched pages are the same page of zeros, and reading it proves nothing.
    new Uint8Array(memory.buffer, task.slice.from, task.slice.bytes).fill(0x5a)
    return { amount: task.slice.bytes, ns: 0 }
  }
  while (process.hrtime.bigint() < task.startNs) {
    // Sleeping would start the threads at different times.
  }
  const started = process.hrtime.bigint()
  const amount = amountIn(task)
  return { amount, ns: Number(process.hrtime.bigint() - started) }
}

parentPort?.on('message', (task: Task) => {
  parentPort?.postMessage(run(task))
})
