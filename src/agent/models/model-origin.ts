import { readFile, writeFile } from 'node:fs/promises'

/** Where a pulled file came from and what it held, kept beside it. */
export interface ModelOrigin {
  /** What to pull to get it again: `owner/repo/file.gguf`, a URL or a path. */
  source: string
  sizeBytes: number
  /** Lower-case hexadecimal; null for a file that was linked and never read whole. */
  sha256: string | null
}

export const originPath = (file: string): string => `${file}.origin.json`

export async function writeOrigin(file: string, origin: ModelOrigin): Promise<void> {
  await writeFile(originPath(file), `${JSON.stringify(origin, null, 2)}\n`)
}

/** Null when there is none, or when it is damaged: it informs, nothing depends on it. */
export async function readOrigin(file: string): Promise<ModelOrigin | null> {
  try {
    const { source, sizeBytes, sha256 } = JSON.parse(await readFile(originPath(file), 'utf8'))
    if (typeof source !== 'string' || typeof sizeBytes !== 'number') return null
    return { source, sizeBytes, sha256: typeof sha256 === 'string' ? sha256 : null }
  } catch {
    return null
  }
}
