/** An empty file beside an embedded database that says there is something in it, so that it is not opened to find out. */
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Mark {
  isSet(): Promise<boolean>
  set(): Promise<void>
  clear(): Promise<void>
}

/** @param dir folder of the store */
export function markAt(dir: string, name: string): Mark {
  const path = join(dir, name)
  return {
    isSet: () =>
      access(path).then(
        () => true,
        () => false,
      ),
    set: async () => {
      await mkdir(dir, { recursive: true })
      await writeFile(path, '')
    },
    clear: () => rm(path, { force: true }),
  }
}
