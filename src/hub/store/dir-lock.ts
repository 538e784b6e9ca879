/**
 * One process at a time in the store's folder: PGlite's files and the journal have one owner. A lock left by a killed
 * process is taken over at once, also when the number of that process is in use again: in a container every life is
 * process 1, and after a reboot numbers repeat.
 */
import { mkdirSync, readFileSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'

const heldHere = new Set<string>()
const refreshMs = 10_000
/** A lock not refreshed for this long belongs to nobody. */
const staleMs = 60_000

/**
 * @returns the way to give it back
 * @throws HolonError already_running
 */
export function lockDir(dir: string): () => void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const path = join(dir, 'lock')
  for (let attempt = 0; ; attempt++) {
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 })
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const owner = livingOwner(path)
      if (owner !== null || attempt > 3) {
        throw new HolonError(
          'already_running',
          `The store in ${dir} is in use by process ${owner ?? 'unknown'}.`,
        )
      }
      removeQuietly(path)
    }
  }
  heldHere.add(path)
  const timer = setInterval(() => touchQuietly(path), refreshMs)
  timer.unref()
  return () => {
    if (!heldHere.delete(path)) return
    clearInterval(timer)
    removeQuietly(path)
  }
}

function livingOwner(path: string): number | null {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    const age = Date.now() - statSync(path).mtimeMs
    if (!Number.isInteger(pid) || pid <= 0 || age > staleMs) return null
    if (pid === process.pid) return heldHere.has(path) ? pid : null
    return isAlive(pid) ? pid : null
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Not ours to signal, but there.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // Somebody else was quicker.
  }
}

function touchQuietly(path: string): void {
  const now = new Date()
  try {
    utimesSync(path, now, now)
  } catch {
    // The folder was removed under us; there is nothing left to guard.
  }
}
