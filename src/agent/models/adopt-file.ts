/**
 * Takes a model that is already on this machine into Holon's folder. A hard link where the disk allows: no second
 * copy, and the model stays when the original name is deleted. Across disks it is copied.
 */
import { createReadStream } from 'node:fs'
import { link, mkdir, open, realpath, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import { readGgufSet } from '../../formats/gguf/read-gguf-set.ts'
import { demandDiskSpace } from './disk-space.ts'
import { writeOrigin } from './model-origin.ts'

export interface AdoptContext {
  modelsFolder: string
  freeBytes: (folder: string) => Promise<number>
  onProgress: (progress: { file: string; bytes: number; totalBytes: number }) => void
  signal: AbortSignal
}

export interface Adopted {
  /** The first file, in Holon's folder. */
  path: string
  sizeBytes: number
  /** True when the very same file was there before. */
  alreadyHere: boolean
}

/** @throws HolonError model_file_missing, model_file_invalid, disk_full */
export async function adoptFile(path: string, context: AdoptContext): Promise<Adopted> {
  const set = await readGgufSet(path)
  const folder = await folderFor(set.files[0]!.path, context.modelsFolder)
  let alreadyHere = true
  let sizeBytes = 0
  for (const file of set.files) {
    const target = join(folder, basename(file.path))
    const original = await realpath(file.path)
    const { size } = await stat(original)
    sizeBytes += size
    if (await isSameFile(original, target)) continue
    alreadyHere = false
    await mkdir(folder, { recursive: true })
    await linkOrCopy(original, target, size, context)
    await writeOrigin(target, { source: file.path, sizeBytes: size, sha256: null })
  }
  return { path: join(folder, basename(set.files[0]!.path)), sizeBytes, alreadyHere }
}

/** `models/local`, or `models/local/2` … when another model of the same file name is there. */
async function folderFor(path: string, modelsFolder: string): Promise<string> {
  const original = await realpath(path)
  for (let number = 1; ; number++) {
    const folder = number === 1 ? join(modelsFolder, 'local') : join(modelsFolder, 'local', String(number))
    const target = join(folder, basename(path))
    const taken = await stat(target).catch(() => null)
    if (taken === null || (await isSameFile(original, target))) return folder
  }
}

async function isSameFile(one: string, other: string): Promise<boolean> {
  const [a, b] = await Promise.all([stat(one), stat(other).catch(() => null)])
  if (b === null) return false
  if (a.ino !== 0 && a.ino === b.ino && a.dev === b.dev) return true
  // A copy made earlier: same length and not older than what it was copied from.
  return a.size === b.size && b.mtimeMs >= a.mtimeMs && basename(one) === basename(other)
}

async function linkOrCopy(from: string, to: string, size: number, context: AdoptContext): Promise<void> {
  try {
    await link(from, to)
    context.onProgress({ file: basename(to), bytes: size, totalBytes: size })
    return
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (!['EXDEV', 'EPERM', 'EACCES', 'ENOTSUP', 'EMLINK', 'ENOSYS'].includes(code ?? '')) throw cause
  }
  demandDiskSpace(size, await context.freeBytes(dirname(to)), dirname(to))
  await copy(from, to, size, context)
}

async function copy(from: string, to: string, size: number, context: AdoptContext): Promise<void> {
  const partial = `${to}.part`
  const out = await open(partial, 'w')
  try {
    let bytes = 0
    for await (const chunk of createReadStream(from, {
      highWaterMark: 4 * 1024 * 1024,
      signal: context.signal,
    })) {
      await out.writeFile(chunk)
      bytes += chunk.length
      context.onProgress({ file: basename(to), bytes, totalBytes: size })
    }
    await out.sync()
    await out.close()
    await rename(partial, to)
  } catch (cause) {
    await out.close().catch(() => undefined)
    await rm(partial, { force: true })
    context.signal.throwIfAborted()
    if ((cause as NodeJS.ErrnoException).code === 'ENOSPC') {
      throw new HolonError('disk_full', `The disk filled up while copying ${from}.`, { cause })
    }
    throw cause
  }
}
