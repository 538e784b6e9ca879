/**
 * One process downloads a file, others follow. The lock is a file beside the target that names the process and is
 * touched while it works; a lock whose process is gone, or that nobody touched for long (the number was given to
 * another process after a reboot), is taken over.
 */
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import type { Clock } from '../../core/clock.ts'
import { newId } from '../../core/ids.ts'

export interface DownloadLock {
  /** False when another process took over, for instance after this machine slept. */
  held(): Promise<boolean>
  release(): Promise<void>
}

const touchEveryMs = 2_000
const staleAfterMs = 30_000

/** The lock, or null when a living process holds it. */
export async function tryDownloadLock(path: string, clock: Clock): Promise<DownloadLock | null> {
  const token = newId('lock')
  const mine = `${path}.${token}`
  await writeFile(mine, JSON.stringify({ pid: process.pid, token }))
  try {
    if (await claim(mine, path)) return hold(path, token, clock)
    if (!(await isStale(path))) return null
    // Renaming is atomic: of several processes that see the stale lock, one gets it; a fresh lock that slipped in
    // between is put back.
    const taken = `${path}.${token}.stale`
    if (!(await succeeds(rename(path, taken)))) return null
    const wasFresh = !(await isStale(taken))
    if (wasFresh) await claim(taken, path)
    await rm(taken, { force: true })
    if (!wasFresh && (await claim(mine, path))) return hold(path, token, clock)
    return null
  } finally {
    await rm(mine, { force: true })
  }
}

/** A hard link to an existing name fails, so exactly one process wins. */
const claim = (own: string, path: string): Promise<boolean> => succeeds(link(own, path))

function succeeds(action: Promise<unknown>): Promise<boolean> {
  return action.then(
    () => true,
    () => false,
  )
}

function hold(path: string, token: string, clock: Clock): DownloadLock {
  let cancel = (): void => undefined
  const touch = (): void => {
    cancel = clock.after(touchEveryMs, () => {
      const now = new Date()
      utimes(path, now, now).catch(() => undefined)
      touch()
    })
  }
  touch()
  const held = async (): Promise<boolean> => (await owner(path))?.token === token
  return {
    held,
    async release() {
      cancel()
      if (await held()) await rm(path, { force: true })
    },
  }
}

async function isStale(path: string): Promise<boolean> {
  const [holder, info] = await Promise.all([owner(path), stat(path).catch(() => null)])
  if (info === null) return false
  if (Date.now() - info.mtimeMs > staleAfterMs) return true
  return holder !== null && !isAlive(holder.pid)
}

async function owner(path: string): Promise<{ pid: number; token: string } | null> {
  try {
    const { pid, token } = JSON.parse(await readFile(path, 'utf8'))
    return typeof pid === 'number' && typeof token === 'string' ? { pid, token } : null
  } catch {
    return null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM'
  }
}
