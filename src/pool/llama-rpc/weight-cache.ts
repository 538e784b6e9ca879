/**
 * Weights that a worker has received and keeps, so that the next start of its pool sends fingerprints only. llama.cpp
 * never removes any, so the folder is brought under a limit before each start and after each end, oldest use first.
 */
import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Home } from '../../core/home.ts'
import { GB } from '../../core/units.ts'
import { readDisk } from '../../profile/disk.ts'

/** One large model's share; a machine that serves larger ones has the disk, and pays by sending again. */
export const cacheLimitBytes = 64 * GB
/** What is left to everybody else on the disk. */
const keepFreeBytes = 10 * GB

export const cacheFolder = (home: Home): string => join(home.cache, 'llama-rpc')

// llama.cpp makes a folder of its own in the one that it is given.
const filesFolder = (home: Home): string => join(cacheFolder(home), 'rpc')

/** Whether weights of this fingerprint, 16 hexadecimal digits, are there. */
export const isKept = (home: Home, hash: string): boolean => existsSync(join(filesFolder(home), hash))

/**
 * Makes room for `comingBytes` of weights and says whether they may be kept.
 * @param limitBytes of all that is kept, bytes
 */
export async function makeRoom(
  home: Home,
  comingBytes: number,
  limitBytes = cacheLimitBytes,
): Promise<boolean> {
  await trimCache(home, Math.max(0, limitBytes - comingBytes))
  if (comingBytes > limitBytes) return false
  const disk = await readDisk(cacheFolder(home)).catch(() => null)
  return disk !== null && disk.freeBytes - comingBytes > keepFreeBytes
}

/** Removes the least recently used until `limitBytes` are left. Never throws. Returns the bytes that are left. */
export async function trimCache(home: Home, limitBytes: number): Promise<number> {
  const folder = filesFolder(home)
  const files: { path: string; bytes: number; usedMs: number }[] = []
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    const about = await stat(path).catch(() => null)
    if (about?.isFile())
      files.push({ path, bytes: about.size, usedMs: Math.max(about.atimeMs, about.mtimeMs) })
  }
  files.sort((a, b) => a.usedMs - b.usedMs)
  let left = files.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const { path, bytes } of files) {
    if (left <= limitBytes) break
    await rm(path, { force: true }).catch(() => undefined)
    left -= bytes
  }
  return left
}
