/**
 * Two pulls of one file share one download: inside a process they share a promise, across processes the second
 * follows the first one's progress on the disk and takes over when the first one dies.
 */
import { access, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { type ProcessLock, tryLock } from '../../engines/shared/process-lock.ts'
import type { DownloadProgress } from './download-file.ts'
import { partPath } from './part-file.ts'
import { pause } from './retry.ts'

export interface ShareOptions {
  /** Absolute path of the finished file. */
  target: string
  sizeBytes: number | null
  clock: Clock
  onProgress: (progress: DownloadProgress) => void
  signal: AbortSignal
}

/** What the one process that downloads does. */
export type Work = (context: {
  stillMine: () => void
  onProgress: (progress: DownloadProgress) => void
  signal: AbortSignal
}) => Promise<void>

interface Shared {
  listeners: Set<(progress: DownloadProgress) => void>
  last: DownloadProgress | null
  controller: AbortController
  done: Promise<void>
}

const followEveryMs = 250
const running = new Map<string, Shared>()

/** Resolves when the finished file is there. The work goes on as long as one caller wants it. */
export async function shareDownload(options: ShareOptions, work: Work): Promise<void> {
  options.signal.throwIfAborted()
  const shared = running.get(options.target) ?? begin(options, work)
  // A function of its own for every caller: two may pass the same one.
  const listener = (progress: DownloadProgress): void => options.onProgress(progress)
  shared.listeners.add(listener)
  if (shared.last) listener(shared.last)
  try {
    await untilAborted(shared.done, options.signal)
  } finally {
    shared.listeners.delete(listener)
    if (shared.listeners.size === 0) {
      shared.controller.abort(options.signal.reason)
      // Whoever asks next must not join a download that is being given up.
      if (running.get(options.target) === shared) running.delete(options.target)
      await shared.done.catch(() => undefined)
    }
  }
}

function begin({ target, sizeBytes, clock }: ShareOptions, work: Work): Shared {
  const controller = new AbortController()
  const shared: Shared = { listeners: new Set(), last: null, controller, done: Promise.resolve() }
  const onProgress = (progress: DownloadProgress): void => {
    shared.last = progress
    for (const listener of shared.listeners) listener(progress)
  }
  shared.done = leadOrFollow(target, sizeBytes, clock, work, onProgress, controller.signal).finally(() => {
    if (running.get(target) === shared) running.delete(target)
  })
  // Every caller awaits it too; this one only keeps an abandoned failure from ending the process.
  shared.done.catch(() => undefined)
  running.set(target, shared)
  return shared
}

async function leadOrFollow(
  target: string,
  sizeBytes: number | null,
  clock: Clock,
  work: Work,
  onProgress: (progress: DownloadProgress) => void,
  signal: AbortSignal,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true })
  let followed = false
  for (;;) {
    const lock = tryLock(`${target}.lock`)
    if (lock === null) {
      followed = true
      const bytes = await sizeOf(partPath(target))
      onProgress({ bytes, totalBytes: sizeBytes, note: 'another Holon process is downloading this file' })
      await pause(followEveryMs, clock, signal)
      continue
    }
    try {
      if (followed && (await exists(target))) return
      await work({ stillMine: () => demandHeld(lock, target), onProgress, signal })
      return
    } finally {
      lock.release()
    }
  }
}

function demandHeld(lock: ProcessLock, target: string): void {
  if (lock.held()) return
  throw new HolonError('download_failed', `Another Holon process took over the download of ${target}.`)
}

function untilAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

const exists = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false,
  )

const sizeOf = (path: string): Promise<number> =>
  stat(path).then(
    (info) => info.size,
    () => 0,
  )
