import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** One installation at a time, also between processes: a folder is the lock, and names who holds it. */
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
  while (!tryLock(path)) await sleep(pollMs, undefined, { signal })
  try {
    await work()
  } finally {
    rmSync(path, { recursive: true, force: true })
  }
}

function tryLock(path: string): boolean {
  try {
    mkdirSync(path)
    writeFileSync(join(path, 'pid'), String(process.pid))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    // Whoever held it may have been killed: a lock without a living owner is no lock.
    if (!ownerLives(path)) rmSync(path, { recursive: true, force: true })
    return false
  }
}

function ownerLives(path: string): boolean {
  let pid: number
  try {
    pid = Number(readFileSync(join(path, 'pid'), 'utf8'))
  } catch {
    // Between the folder and its pid there is a moment; a folder old and empty is a leftover.
    return ageMs(path) < 5000
  }
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function ageMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}
