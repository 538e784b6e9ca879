/** Pure decisions of the bandwidth measurement: how much memory, which thread counts, how long each window. */
import { median } from '../../core/median.ts'
import { GiB, MiB } from '../../core/units.ts'
import { READ_STEP_BYTES } from './kernel.ts'

export interface BandwidthPlan {
  /** Memory walked through, shared out among the threads. */
  bufferBytes: number
  threadCounts: number[]
  /** Length of one timed window. */
  windowMs: number
  /** Timed windows per figure, of which the median counts; one more runs before them as warm-up. */
  samples: number
  /** After this long, figures make do with fewer windows. */
  patienceMs: number
}

export interface BandwidthInput {
  /** Cores worth running on: physical ones, where they are known. */
  cores: number
  availableBytes: number
  /** Size of the last-level cache; null when the system does not tell. */
  cacheBytes: number | null
  /** Time for all windows, repeats of disturbed ones included. */
  budgetMs: number
}

const SAMPLES = 5
/** Reading, copying, calculating. */
const KINDS = 3
const MAX_THREADS = 64
/** When the cache size is unknown, this covers the caches of desktops, laptops and Macs (96 MiB) eight times over. */
const UNKNOWN_CACHE_BYTES = 96 * MiB

/**
 * The buffer is eight times the last-level cache, so that at most an eighth of a walk could be answered by it, but never
 * more than 2 GiB nor a quarter of what is free: a measurement must not push a working machine into swap.
 * Null when there is too little free memory to measure honestly.
 */
export function planBandwidth(input: BandwidthInput): BandwidthPlan | null {
  const cache = input.cacheBytes ?? UNKNOWN_CACHE_BYTES
  const wanted = Math.max(256 * MiB, 8 * cache)
  const bufferBytes = Math.floor(Math.min(wanted, 2 * GiB, input.availableBytes / 4) / MiB) * MiB
  if (bufferBytes < 2 * cache || bufferBytes < 64 * MiB) return null
  const threadCounts = threadLadder(Math.min(input.cores, MAX_THREADS))
  const windows = threadCounts.length * KINDS * (SAMPLES + 1)
  // A third of the time is kept for repeats.
  const windowMs = Math.max(15, Math.min(80, Math.floor((input.budgetMs * 2) / 3 / windows)))
  return { bufferBytes, threadCounts, windowMs, samples: SAMPLES, patienceMs: input.budgetMs }
}

/** 1, 2, 4 … and the full number. */
export function threadLadder(most: number): number[] {
  const counts: number[] = []
  for (let count = 1; count < most; count *= 2) counts.push(count)
  return [...counts, Math.max(1, most)]
}

export interface Slice {
  from: number
  bytes: number
}

/** The buffer in `count` equal parts, each a whole number of read steps (for the copy: of two). */
export function slices(bufferBytes: number, count: number): Slice[] {
  const step = 2 * READ_STEP_BYTES
  const bytes = Math.floor(bufferBytes / count / step) * step
  return Array.from({ length: count }, (_, index) => ({ from: index * bytes, bytes }))
}

/** One timed window: bytes moved or cycles taken per second, and how much of its time each thread really had a core. */
export interface Window {
  perS: number
  cpuShare: number
}

/** Below this a thread waited for its core, and the figure tells of the other program rather than of the memory. */
const UNDISTURBED_SHARE = 0.9

export const isDisturbed = (window: Window): boolean => window.cpuShare < UNDISTURBED_SHARE

/** The median of the undisturbed windows; where there is none, the best of the others, and marked. */
export function summarise(windows: readonly Window[]): { perS: number; disturbed: boolean } {
  const calm = windows.filter((window) => !isDisturbed(window)).map((window) => window.perS)
  if (calm.length > 0) return { perS: median(calm), disturbed: false }
  return { perS: Math.max(...windows.map((window) => window.perS)), disturbed: true }
}
