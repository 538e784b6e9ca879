/**
 * One process at a time. A lock is a folder that holds one file, which is named for its holder. A folder with its file
 * comes into being by one rename, which fails where another lies; the lock of a holder that is gone changes hands by
 * renaming that holder's file, and a name can be renamed away only once. So nobody ever takes a lock that is not the one
 * they looked at: three earlier locks removed the stale one and then made their own, and a third process that had come in
 * between lost a fresh one.
 */
import { execFileSync } from 'node:child_process'
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { hostname } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { newId } from '../../core/ids.ts'

export interface ProcessLock {
  /** False when another process took over, which it may where it cannot ask whether this one lives. */
  held(): boolean
  release(): void
}

/** Who holds a lock. A process id alone is given to another program sooner or later, at the latest after a reboot. */
export interface ProcessIdentity {
  pid: number
  /** When it started, in the system's own words; null where it cannot be asked. */
  start: string | null
}

const touchEveryMs = 10_000
/** For holders that cannot be asked about: in another container, on another machine, or without a time of start. */
const staleAfterMs = 60_000

/** The lock, or null while a living process holds it: this one as well. Its folder's parent must exist. */
export function tryLock(path: string): ProcessLock | null {
  const mine = nameOf({ pid: process.pid, start: processStart(process.pid) })
  if (create(path, mine)) return hold(path, mine)
  const holder = holderOf(path)
  // Gone meanwhile, or never finished: whoever asks again finds out.
  if (holder === null) return create(path, mine) ? hold(path, mine) : null
  if (!isStale(path, holder)) return null
  try {
    // Fresh before it has the new name: under an old time it would look stale at once.
    touch(join(path, holder))
    renameSync(join(path, holder), join(path, mine))
    return hold(path, mine)
  } catch {
    return null
  }
}

/** True while that process runs, and not merely another one with its number. */
export function isRunning({ pid, start }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false
  }
  const found = processStart(pid)
  return found === null || start === null || found === start
}

/** When process `pid` started; equal texts mean the same process, null that it cannot be told. */
export function processStart(pid: number): string | null {
  try {
    if (process.platform === 'linux') {
      const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
      // The command name (field 2) may hold spaces and brackets; the start time is the 20th field after it.
      return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null
    }
    if (process.platform === 'darwin') {
      // A service and a shell differ in language and perhaps in time zone, and would tell one process in two ways.
      const env = { ...process.env, LC_ALL: 'C', TZ: 'UTC' }
      const said = execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], {
        encoding: 'utf8',
        timeout: 2000,
        env,
      })
      return said.trim().replace(/\W+/g, '-') || null
    }
  } catch {
    // No such process, or no way to ask: the caller then trusts the id alone.
  }
  return null
}

function create(path: string, mine: string): boolean {
  const draft = join(dirname(path), `.${basename(path)}.${mine}`)
  mkdirSync(draft)
  try {
    writeFileSync(join(draft, mine), '')
    renameSync(draft, path)
    return true
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!taken.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    return false
  }
}

/** What renaming a folder onto a lock fails with; onto an empty folder it does so on Windows only. */
const taken = new Set(['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'ENOTDIR'])

/** The name of the holder's file; null when there is none, and nothing in the way then. */
function holderOf(path: string): string | null {
  try {
    const names = readdirSync(path)
    const holder = names.find((name) => name.includes('~'))
    if (holder !== undefined) return holder
    // What a desktop leaves in folders, and the process id in locks of an earlier Holon.
    for (const foreign of names) rmSync(join(path, foreign), { force: true })
    rmdirSync(path)
    return null
  } catch (error) {
    // A file, of a Holon whose locks were files.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') unlinkSync(path)
    return null
  }
}

function isStale(path: string, holder: string): boolean {
  const [host, pid, start] = holder.split('~')
  if (host === thisHost() && Number(pid) > 0) {
    if (!isRunning({ pid: Number(pid), start: start || null })) return true
    if (start) return false
  }
  try {
    return Date.now() - statSync(join(path, holder)).mtimeMs > staleAfterMs
  } catch {
    return false
  }
}

const nameOf = ({ pid, start }: ProcessIdentity): string =>
  `${thisHost()}~${pid}~${start ?? ''}~${newId('lock')}`

const thisHost = (): string =>
  hostname()
    .replace(/[^\w.-]/g, '_')
    .slice(0, 64)

function touch(file: string): void {
  const now = new Date()
  utimesSync(file, now, now)
}

function hold(path: string, mine: string): ProcessLock {
  const file = join(path, mine)
  const held = (): boolean => statSync(file, { throwIfNoEntry: false }) !== undefined
  const timer = setInterval(() => {
    try {
      touch(file)
    } catch {
      // Taken over: whoever asks `held` hears of it.
    }
  }, touchEveryMs)
  timer.unref()
  return {
    held,
    release() {
      clearInterval(timer)
      if (!held()) return
      unlinkSync(file)
      try {
        rmdirSync(path)
      } catch {
        // The next holder is in it already.
      }
    },
  }
}
