import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { MachineProfile } from '../protocol/machine.ts'

/**
 * The disk a folder lies on, or will lie on: before the first start HOLON_HOME does not exist, its parent does.
 * Free is what this user may take, which on Linux is less than what root may.
 */
export async function readDisk(path: string): Promise<MachineProfile['disk']> {
  for (let folder = path; ; folder = dirname(folder)) {
    try {
      const disk = await statfs(folder)
      return { path, totalBytes: disk.blocks * disk.bsize, freeBytes: disk.bavail * disk.bsize }
    } catch (error) {
      if (dirname(folder) === folder) throw error
    }
  }
}
