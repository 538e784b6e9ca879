/**
 * One thread of the bandwidth measurement. It walks its slice of the shared memory from a common starting time to a
 * common end and says how many bytes it moved in how long. It runs as a worker and knows nothing of the other threads.
 */
import { parentPort, workerData } from 'node:worker_threads'
import { MiB } from '../../core/units.ts'
import { type CompiledKernel, openKernel, type SharedMemory } from './kernel.ts'
import type { Slice } from './plan.ts'

export interface ThreadSetup {
  module: CompiledKernel
  memory: SharedMemory
}

export type Task =
  | { kind: 'fill'; slice: Slice }
  /** Times are `process.hrtime.bigint()`, which all threads of a process share. */
  | { kind: 'read' | 'copy'; slice: Slice; startNs: bigint; endNs: bigint }

export interface Moved {
  bytes: number
  ns: number
}

/** Short against a window, long against a call: and each call lets the compiler swap in the faster code. */
const READ_CHUNK = MiB
/** Long enough that memmove takes the way it takes for large copies. */
const COPY_CHUNK = 32 * MiB

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

function run(task: Task): Moved {
  if (task.kind === 'fill') {
    // Written, not merely reserved: all untouched pages are the same page of zeros, and reading it proves nothing.
    new Uint8Array(memory.buffer, task.slice.from, task.slice.bytes).fill(0x5a)
    return { bytes: task.slice.bytes, ns: 0 }
  }
  while (process.hrtime.bigint() < task.startNs) {
    // Sleeping would start the threads at different times.
  }
  const started = process.hrtime.bigint()
  const bytes = task.kind === 'read' ? readWindow(task.slice, task.endNs) : copyWindow(task.slice, task.endNs)
  return { bytes, ns: Number(process.hrtime.bigint() - started) }
}

parentPort?.on('message', (task: Task) => {
  parentPort?.postMessage(run(task))
})
