/** Finds the model files in folders: one entry per model, however many files it is split into. */
import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { dirname, join, relative, sep } from 'node:path'
import { parseSplitName, splitSetNames } from '../../formats/gguf/split-name.ts'

export interface FoundModel {
  /** The file, or the first file of the split, also when that one is missing. */
  path: string
  /** The folder that was scanned. */
  root: string
  /** Bytes of all its files on the disk. */
  sizeBytes: number
  /** Changes when any of its files does. */
  fingerprint: string
  /** All files that are there. */
  files: string[]
}

/** A folder deeper or fuller than this is not a folder of models (somebody named their home). */
const maxDepth = 6
const maxFiles = 10_000

/** Models of all folders, in the order of the folders and then of their paths. A folder that is missing is empty. */
export async function scanModels(roots: readonly string[]): Promise<FoundModel[]> {
  const models: FoundModel[] = []
  const seen = new Set<string>()
  for (const root of roots) {
    const files = (await filesIn(root, maxDepth)).slice(0, maxFiles).sort()
    for (const group of groupSplits(files)) {
      if (seen.has(group.path)) continue
      seen.add(group.path)
      models.push(await measure(root, group.path, group.files))
    }
  }
  return models
}

async function filesIn(folder: string, depth: number): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((): Dirent[] => [])
  const files: string[] = []
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) {
      if (depth > 0 && !entry.name.startsWith('.')) files.push(...(await filesIn(path, depth - 1)))
    } else if (/\.gguf$/i.test(entry.name) && !entry.name.startsWith('.')) {
      files.push(path)
    }
    if (files.length > maxFiles) break
  }
  return files
}

function groupSplits(files: readonly string[]): { path: string; files: string[] }[] {
  const groups = new Map<string, string[]>()
  for (const file of files) {
    const first = parseSplitName(file) ? splitSetNames(file)[0]! : file
    groups.set(first, [...(groups.get(first) ?? []), file])
  }
  return [...groups].map(([path, group]) => ({ path, files: group }))
}

async function measure(root: string, path: string, files: string[]): Promise<FoundModel> {
  let sizeBytes = 0
  const marks: string[] = []
  for (const file of files) {
    const info = await stat(file).catch(() => null)
    sizeBytes += info?.size ?? 0
    marks.push(`${relative(dirname(path), file)}:${info?.size ?? 'gone'}:${info?.mtimeMs ?? 0}`)
  }
  return { path, root, sizeBytes, fingerprint: marks.join('|'), files }
}

/** Where below its root a model lies, with forward slashes. */
export function placeInRoot(model: FoundModel): string {
  return relative(model.root, model.path).split(sep).join('/')
}
