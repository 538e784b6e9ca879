/** A model on this machine as a list of its files, each with its checksum and the layers it holds. */
import { readdir, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { splitSetNames } from '../../formats/gguf/split-name.ts'
import type { MemberHost } from '../../pool/pool-engine.ts'
import {
  demandWholeShards,
  findModelFolder,
  readModelConfig,
  readWeightMap,
} from '../../pool/weights/model-folder.ts'
import type { WeightFile, WeightList } from '../../protocol/pool-weights.ts'
import type { FileSums } from './file-sums.ts'

export interface FoundFiles {
  folder: string
  names: string[]
  /** Null for a GGUF: its files are read whole. */
  safetensors: boolean
}

/** Where the model is and which files belong to it; null when it is not here whole. */
export async function findFiles(
  host: Pick<MemberHost, 'home' | 'findModel'>,
  model: string,
): Promise<FoundFiles | null> {
  const file = host.findModel(model)?.path
  if (file?.endsWith('.gguf')) return findGguf(file)
  const folder = (await findModelFolder(model, host))?.path
  if (folder === undefined) return null
  try {
    await demandWholeShards(folder, null)
  } catch {
    return null
  }
  const entries = await readdir(folder)
  const names = entries.filter((name) => /\.(safetensors|json|jsonl|model|tiktoken|txt|jinja)$/.test(name))
  return { folder, names: names.sort(), safetensors: true }
}

async function findGguf(path: string): Promise<FoundFiles | null> {
  const names = splitSetNames(basename(path))
  for (const name of names) {
    if (!(await stat(join(dirname(path), name)).catch(() => null))?.isFile()) return null
  }
  return { folder: dirname(path), names, safetensors: false }
}

/** @throws the signal's reason */
export async function listFiles(
  found: FoundFiles,
  model: string,
  sums: FileSums,
  signal: AbortSignal,
): Promise<WeightList> {
  const { folder, names, safetensors } = found
  const contents = safetensors ? await contentsOf(folder) : null
  const files: WeightFile[] = []
  for (const name of names) {
    const { bytes, sha256 } = await sums.of(join(folder, name), signal)
    files.push({ name, bytes, sha256, ...(contents?.get(name) ?? { layers: [], common: true }) })
  }
  const modelLayers = safetensors ? (await readModelConfig(folder)).layers : null
  return { model, path: folder, modelLayers, files }
}

/** Of each shard the layers in it, and whether it holds what is none. */
async function contentsOf(
  folder: string,
): Promise<Map<string, { layers: number[]; common: boolean }> | null> {
  const map = await readWeightMap(folder)
  if (map === null) return null
  const contents = new Map<string, { layers: Set<number>; common: boolean }>()
  for (const [tensor, file] of Object.entries(map)) {
    const content = contents.get(file) ?? { layers: new Set(), common: false }
    const layer = /(?:^|\.)layers\.(\d+)\./.exec(tensor)?.[1]
    if (layer === undefined) content.common = true
    else content.layers.add(Number(layer))
    contents.set(file, content)
  }
  return new Map([...contents].map(([file, { layers, common }]) => [file, { layers: [...layers], common }]))
}
