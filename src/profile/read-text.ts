import { open } from 'node:fs/promises'

/** The longest of the lists that are read is pci.ids with 1.5 MB. */
const MAX_BYTES = 4 * 1024 * 1024

/**
 * A small text file, or null when it is missing, unreadable or no file. Files under /proc and /sys claim a size of 0 and
 * fill as they are read, so it is read until its end, or until it is longer than any file that is asked for here.
 */
export async function readText(path: string): Promise<string | null> {
  try {
    const file = await open(path, 'r')
    try {
      const parts: Buffer[] = []
      let length = 0
      while (length < MAX_BYTES) {
        const { bytesRead, buffer } = await file.read(Buffer.alloc(64 * 1024), 0, 64 * 1024)
        if (bytesRead === 0) break
        parts.push(buffer.subarray(0, bytesRead))
        length += bytesRead
      }
      return Buffer.concat(parts).toString('utf8')
    } finally {
      await file.close()
    }
  } catch {
    return null
  }
}
