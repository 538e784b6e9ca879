import { execFileSync } from 'node:child_process'
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HolonError } from '../core/errors.ts'
import type { Home } from '../core/home.ts'

/**
 * One `holon up` per HOLON_HOME. The lock file names the process by id and start time: an id alone is reused by
 * the system, and a machine that lost power would then refuse to start because a browser got the old number.
 */
export interface Lock {
  pid: number
  /** When the process started, as the system tells it; null where it cannot be asked. */
  processStart: string | null
  /** Where the hub listens, once it does. */
  url: string | null
  /** What commands of the same user show to that hub: made anew at every start, in a file that only its owner can read. */
  key: string | null
  /** The file of the certificate that the hub serves; null without TLS. */
  certFile: string | null
}

const lockPath = (home: Home) => join(home.run, 'up.json')

/** The live holder of the lock, or null. */
export function readLock(home: Home): Lock | null {
  const lock = parse(lockPath(home))
  return lock && isAlive(lock) ? lock : null
}

/** A lock file whose process is gone (power cut, kill -9), for `holon doctor`. */
export function staleLock(home: Home): Lock | null {
  const lock = parse(lockPath(home))
  return lock && !isAlive(lock) ? lock : null
}

/**
 * Takes the lock for this process.
 * @throws HolonError already_running, naming who holds it
 */
export function takeLock(home: Home): {
  publish(url: string, key: string, certFile: string | null): void
  release(): void
} {
  mkdirSync(home.run, { recursive: true })
  const path = lockPath(home)
  const mine: Lock = {
    pid: process.pid,
    processStart: processStart(process.pid),
    url: null,
    key: null,
    certFile: null,
  }
  for (let attempt = 0; attempt < 3; attempt++) {
    try {
      createWhole(path, JSON.stringify(mine))
      return {
        publish: (url, key, certFile) => {
          writeFileSync(`${path}.new`, JSON.stringify({ ...mine, url, key, certFile }), { mode: 0o600 })
          renameSync(`${path}.new`, path)
        },
        release: () => {
          if (parse(path)?.pid === process.pid) rmSync(path, { force: true })
        },
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
      const holder = readLock(home)
      if (holder) {
        const where = holder.url ? ` at ${holder.url}` : ''
        throw new HolonError(
          'already_running',
          `Holon is already running on ${home.root}${where} (process ${holder.pid}).`,
        )
      }
      // Moved aside rather than deleted: of two starters that both see a dead lock, only one moves it.
      const aside = `${path}.stale-${process.pid}`
      try {
        renameSync(path, aside)
        rmSync(aside, { force: true })
      } catch (moved) {
        if ((moved as NodeJS.ErrnoException).code !== 'ENOENT') throw moved
      }
    }
  }
  throw new HolonError('already_running', `Another start of Holon on ${home.root} is under way.`)
}

/** Creates the file with its content in one step, so that no other process ever reads half a lock. */
function createWhole(path: string, content: string): void {
  const draft = `${path}.draft-${process.pid}`
  writeFileSync(draft, content, { mode: 0o600 })
  try {
    linkSync(draft, path)
  } finally {
    rmSync(draft, { force: true })
  }
}

function parse(path: string): Lock | null {
  try {
    const lock = JSON.parse(readFileSync(path, 'utf8')) as Partial<Lock>
    if (typeof lock.pid !== 'number' || !Number.isInteger(lock.pid) || lock.pid <= 0) return null
    const { pid, processStart = null, url = null, key = null, certFile = null } = lock
    return { pid, processStart, url, key, certFile }
  } catch {
    return null
  }
}

function isAlive(lock: Lock): boolean {
  try {
    process.kill(lock.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const start = processStart(lock.pid)
  return start === null || lock.processStart === null || start === lock.processStart
}

/** When process `pid` started, in the system's own words; equal texts mean the same process. */
function processStart(pid: number): string | null {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The command name (field 2) may hold spaces and brackets; the start time is the 20th field after it.
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
    }
    if (process.platform === 'darwin') {
      return (
        execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
          encoding: 'utf8',
          timeout: 2000,
        }).trim() || null
      )
    }
  } catch {
    // No such process, or no way to ask: the caller then trusts the id alone.
  }
  return null
}
