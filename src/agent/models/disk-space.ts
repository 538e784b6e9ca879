import { mkdir, statfs } from 'node:fs/promises'
import { HolonError } from '../../core/errors.ts'
import { formatBytes, MB } from '../../core/units.ts'

/** Left free for the system, the store and the logs. */
const marginBytes = 256 * MB

/** Bytes that this user may still write in `folder`. */
export async function freeDiskBytes(folder: string): Promise<number> {
  await mkdir(folder, { recursive: true })
  const { bavail, bsize } = await statfs(folder)
  return bavail * bsize
}

/** @throws HolonError disk_full when `bytes` more do not fit on the disk of `folder` with a margin */
export function demandDiskSpace(bytes: number, freeBytes: number, folder: string): void {
  if (bytes <= 0 || bytes + marginBytes <= freeBytes) return
  throw new HolonError(
    'disk_full',
    `The download needs ${formatBytes(bytes)}, and the disk of ${folder} has ${formatBytes(freeBytes)} free (${formatBytes(marginBytes)} stay free).`,
  )
}
