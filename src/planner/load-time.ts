import type { LinkSpec } from './link-name.ts'

/**
 * How long until the first answer after a load: the weights come off each member's drive, or over the link from the
 * one machine that has the file. Both are bounds by bandwidth; engines add seconds of their own for warming up.
 */

/** An NVMe drive reading a file in order, bytes per second: what is assumed when nobody measured the drive. */
export const USUAL_DRIVE_BYTES_PER_S = 3e9

export interface LoadTime {
  /** Every member has the file and reads its part: the largest part decides. Seconds. */
  fromDriveS: number
  /** Only the first member has it and sends the others their parts through its one port; null for one machine. */
  overLinkS: number | null
  driveBytesPerS: number
}

/** @param partsBytes weights each member holds, the one with the file first */
export function loadTime(
  partsBytes: readonly number[],
  link: LinkSpec | null,
  driveBytesPerS = USUAL_DRIVE_BYTES_PER_S,
): LoadTime {
  const fromDriveS = Math.max(0, ...partsBytes) / driveBytesPerS
  const sent = partsBytes.slice(1).reduce((sum, part) => sum + part, 0)
  const all = sent + (partsBytes[0] ?? 0)
  return {
    fromDriveS,
    // Reading and sending overlap; the sender reads all of it.
    overLinkS: link && partsBytes.length > 1 ? Math.max(all / driveBytesPerS, sent / link.bytesPerS) : null,
    driveBytesPerS,
  }
}
