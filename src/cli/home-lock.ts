import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { HolonError } from '../core/errors.ts'
import type { Home } from '../core/home.ts'
import { isRunning, processStart, tryLock } from '../engines/shared/process-lock.ts'

/**
 * One `holon up` per HOLON_HOME: a lock beside which lies what commands of the same user need to know of its holder. The
 * file names the process by id and start time: an id alone is reused by the system.
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
  const lock = tryLock(join(home.run, 'up.lock'))
  if (!lock) throw alreadyRunning(home)
  const path = lockPath(home)
  const mine: Lock = {
    pid: process.pid,
    processStart: processStart(process.pid),
    url: null,
    key: null,
    certFile: null,
  }
  writeWhole(path, mine)
  return {
    publish: (url, key, certFile) => writeWhole(path, { ...mine, url, key, certFile }),
    release: () => {
      if (lock.held()) rmSync(path, { force: true })
      lock.release()
    },
  }
}

function alreadyRunning(home: Home): HolonError {
  const holder = readLock(home)
  if (!holder) {
    return new HolonError(
      'already_running',
      `Holon is being started on ${home.root}, or runs on it in another container or on another machine.`,
      { hint: 'If that one was killed, try again in a minute; else use another HOLON_HOME.' },
    )
  }
  const where = holder.url ? ` at ${holder.url}` : ''
  return new HolonError(
    'already_running',
    `Holon is already running on ${home.root}${where} (process ${holder.pid}).`,
  )
}

/** In one step, so that no other process ever reads half of it. */
function writeWhole(path: string, lock: Lock): void {
  writeFileSync(`${path}.new`, JSON.stringify(lock), { mode: 0o600 })
  renameSync(`${path}.new`, path)
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

const isAlive = ({ pid, processStart: start }: Lock): boolean => isRunning({ pid, start })
