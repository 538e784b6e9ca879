import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { tryLock } from './process-lock.ts'

/** One installation at a time, also between processes. */
const underWay = new Map<string, { run: Promise<void>; signal: AbortSignal }>()

const pollMs = 200

/**
 * Runs `work` while holding the lock at `path`; callers in this process who ask for the same lock meanwhile share
 * its result, and take over when whoever began gives up. Whoever got the lock after another process finished should
 * find the work done, so `work` must look.
 */
export async function shareInstallation(
  path: string,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const shared = underWay.get(path)
  if (!shared) {
    const run = holdLock(path, signal, work).finally(() => underWay.delete(path))
    underWay.set(path, { run, signal })
    return run
  }
  try {
    await orAborted(shared.run, signal)
  } catch (error) {
    if (signal.aborted || !shared.signal.aborted) throw error
    await shareInstallation(path, signal, work)
  }
}

async function orAborted(run: Promise<void>, signal: AbortSignal): Promise<void> {
  let cancel: () => void = () => undefined
  const aborted = new Promise<never>((_, reject) => {
    cancel = () => reject(signal.reason)
    if (signal.aborted) cancel()
    else signal.addEventListener('abort', cancel, { once: true })
  })
  try {
    await Promise.race([run, aborted])
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

async function holdLock(path: string, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  mkdirSync(dirname(path), { recursive: true })
  let lock = tryLock(path)
  while (!lock) {
    await sleep(pollMs, undefined, { signal })
    lock = tryLock(path)
  }
  try {
    await work()
  } finally {
    lock.release()
  }
}
