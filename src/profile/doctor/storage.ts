/** HOLON_HOME and the disk under it. */
import { randomUUID } from 'node:crypto'
import { lstat, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { formatBytes, GB } from '../../core/units.ts'
import type { MachineProfile } from '../../protocol/machine.ts'
import { type Check, checkCalled } from './check.ts'

export interface HomeFacts {
  path: string
  exists: boolean
  isFolder: boolean
  /** The nearest folder that exists: HOLON_HOME or one above it. */
  nearest: string
  /** Why a file could not be written in `nearest`, as the system's code ("EACCES"); null when it could. */
  writeError: string | null
  /** User ids; null where there are none (Windows). */
  ownerUid: number | null
  ourUid: number | null
  /** Other users of this machine may change what is in it. */
  othersMayWrite: boolean
}

export async function readHomeFacts(path: string): Promise<HomeFacts> {
  const self = await stat(path).catch(() => null)
  let nearest = path
  while ((await stat(nearest).catch(() => null)) === null && dirname(nearest) !== nearest)
    nearest = dirname(nearest)
  const folder = self?.isDirectory() ?? true
  return {
    path,
    exists: self !== null || (await lstat(path).catch(() => null)) !== null,
    isFolder: folder,
    nearest,
    writeError: folder ? await tryWriting(nearest) : 'ENOTDIR',
    ownerUid: process.getuid && self ? self.uid : null,
    ourUid: process.getuid?.() ?? null,
    othersMayWrite: process.platform !== 'win32' && self !== null && (self.mode & 0o002) !== 0,
  }
}

/** Permissions, read-only disks and quotas are too many to work out: trying tells. */
async function tryWriting(folder: string): Promise<string | null> {
  const path = join(folder, `.holon-doctor-${randomUUID()}`)
  try {
    await writeFile(path, 'This file may be deleted.', { flag: 'wx' })
    return null
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? 'unknown'
  } finally {
    await rm(path, { force: true })
  }
}

const reasons: Record<string, string> = {
  EACCES: 'permission is denied',
  EPERM: 'permission is denied',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  ENOTDIR: 'it is a file, no folder',
}

export function checkHome(facts: HomeFacts): Check {
  const { ok, warn, fail } = checkCalled('home', 'HOLON_HOME')
  const elsewhere = 'or set HOLON_HOME to a folder of your own.'
  if (facts.writeError !== null) {
    const why = reasons[facts.writeError] ?? facts.writeError
    return fail(
      `nothing can be written to ${facts.exists ? facts.path : facts.nearest}: ${why}`,
      facts.writeError === 'EACCES' || facts.writeError === 'EPERM'
        ? `Take it over with \`sudo chown -R "$(id -un)" ${facts.nearest}\`, ${elsewhere}`
        : `Put that right, ${elsewhere}`,
    )
  }
  if (facts.ownerUid !== null && facts.ourUid !== null && facts.ownerUid !== facts.ourUid) {
    return warn(
      `${facts.path} belongs to user ${facts.ownerUid}, and this is user ${facts.ourUid}: one will lock the other out`,
      `Run Holon always as the same user, ${elsewhere}`,
    )
  }
  if (facts.othersMayWrite) {
    return warn(
      `every user of this machine may change what is in ${facts.path}, engines included`,
      `Close it with \`chmod 700 ${facts.path}\`.`,
    )
  }
  return ok(facts.exists ? `${facts.path} is writable` : `${facts.path} will be created at the first start`)
}

/** Below this the store and the logs can fail; a small model needs more. */
const LEAST = 1 * GB
const COMFORTABLE = 10 * GB

export function checkDisk(disk: MachineProfile['disk']): Check {
  const { ok, warn, fail } = checkCalled('disk', 'Disk')
  const seen = `${formatBytes(disk.freeBytes)} free of ${formatBytes(disk.totalBytes)}`
  const hint =
    'Free some space, or set HOLON_HOME to a larger disk. `holon models` lists what the models take.'
  if (disk.freeBytes < LEAST) return fail(`${seen}: too little to keep even Holon's own records`, hint)
  if (disk.freeBytes < COMFORTABLE) return warn(`${seen}: an 8B model at 4 bits takes about 5 GB`, hint)
  return ok(seen)
}
