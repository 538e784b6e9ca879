import { access } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import { fileByteSource } from '../byte-source-file.ts'
import type { GgufHeader, GgufTensor } from './gguf-header.ts'
import { type ReadGgufOptions, readGguf } from './read-gguf.ts'
import { splitSetNames } from './split-name.ts'

/** A model on disk as a whole: one file, or all the files of a split set. */
export interface GgufSet {
  /** The header of the first file, which carries the metadata of the model. */
  readonly header: GgufHeader
  /** The tensors of all files. Offsets are those within their own file. */
  readonly tensors: readonly GgufTensor[]
  readonly files: readonly { path: string; header: GgufHeader }[]
  /** What the files must hold together, bytes. */
  readonly totalBytes: number
}

/**
 * Reads the model whose first (or only) file is `path`.
 * @throws HolonError model_file_missing when a part is not there; model_file_invalid when a part is damaged or
 * belongs to another split
 */
export async function readGgufSet(path: string, options: ReadGgufOptions = {}): Promise<GgufSet> {
  const paths = splitSetNames(basename(path)).map((name) => join(dirname(path), name))
  const missing = await missingParts(paths)
  if (missing.length > 0 && paths.length > 1) {
    throw new HolonError(
      'model_file_missing',
      `The model is split in ${paths.length} files and ${missing.length} of them are not there: ${missing.slice(0, 3).join(', ')}.`,
    )
  }
  const files: { path: string; header: GgufHeader }[] = []
  for (const part of paths) files.push({ path: part, header: await readGgufFile(part, options) })
  const header = files[0]!.header
  if (paths.length > 1) checkParts(files)
  return {
    header,
    files,
    tensors: files.flatMap((file) => file.header.tensors),
    totalBytes: files.reduce((sum, file) => sum + file.header.fileBytes, 0),
  }
}

/** Reads one file's header and closes the file. */
export async function readGgufFile(path: string, options: ReadGgufOptions = {}): Promise<GgufHeader> {
  const source = await fileByteSource(path)
  try {
    return await readGguf(source, options)
  } finally {
    await source.close()
  }
}

async function missingParts(paths: string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      access(path).then(
        () => true,
        () => false,
      ),
    ),
  )
  return paths.filter((_, index) => !found[index]).map((path) => basename(path))
}

/** Files that only share a naming pattern must not be loaded as one model. */
function checkParts(files: { path: string; header: GgufHeader }[]): void {
  for (const [index, { path, header }] of files.entries()) {
    if (header.split?.count !== files.length || header.split.index !== index) {
      const says = header.split
        ? `part ${header.split.index + 1} of ${header.split.count}`
        : 'no part of a split'
      throw new HolonError(
        'model_file_invalid',
        `${path} is named part ${index + 1} of ${files.length}, but says it is ${says}.`,
      )
    }
  }
}
