/**
 * Where a safetensors model lies on this machine. MLX and vLLM read a folder: config, tokenizer, an index and shards. It
 * may be Holon's own, one of a Hugging Face cache, or one that the owner names by its path.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, isAbsolute, join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import { fileByteSource } from '../../formats/byte-source-file.ts'
import { readSafetensors } from '../../formats/safetensors/read-safetensors.ts'
import type { ModelCut } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'

export interface ModelFolder {
  path: string
  sizeBytes: number
}

/** The first place that holds a `config.json`; null when the model is not here. Never throws. */
export async function findModelFolder(
  model: string,
  host: Pick<MemberHost, 'home' | 'findModel'>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ModelFolder | null> {
  for (const path of await placesOf(model, host, env)) {
    if (await isFile(join(path, 'config.json'))) return { path, sizeBytes: await folderBytes(path) }
  }
  return null
}

async function placesOf(
  model: string,
  host: Pick<MemberHost, 'home' | 'findModel'>,
  env: NodeJS.ProcessEnv,
): Promise<string[]> {
  const known = host.findModel(model)?.path
  const places = known === undefined ? [] : [known, dirname(known)]
  if (isAbsolute(model)) return [...places, model]
  // A name from elsewhere must not lead out of the folders of models.
  if (!/^[\w.-]+(\/[\w.-]+)?$/.test(model) || model.split('/').includes('..')) return places
  return [...places, join(host.home.models, model), ...(await inHuggingFaceCache(model, env))]
}

/** `models--org--name/snapshots/<commit>`, the one that `refs/main` names first. */
async function inHuggingFaceCache(model: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const hub = env.HF_HUB_CACHE || join(env.HF_HOME || join(homedir(), '.cache', 'huggingface'), 'hub')
  const folder = join(hub, `models--${model.replaceAll('/', '--')}`)
  const main = await readFile(join(folder, 'refs', 'main'), 'utf8').catch(() => '')
  const commits = await readdir(join(folder, 'snapshots')).catch(() => [])
  commits.sort((a, b) => Number(b === main.trim()) - Number(a === main.trim()))
  return commits.map((commit) => join(folder, 'snapshots', commit))
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (info) => info.isFile(),
    () => false,
  )
}

/** Bytes of the files in a folder, links followed: a Hugging Face snapshot is made of links. */
async function folderBytes(folder: string): Promise<number> {
  const names = await readdir(folder).catch(() => [])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        (info) => (info.isFile() ? info.size : 0),
        () => 0,
      ),
    ),
  )
  return sizes.reduce((sum, size) => sum + size, 0)
}

export interface ModelConfig {
  type: string
  layers: number
  heads: number
  kvHeads: number
}

/** What `config.json` says of where the model can be cut. @throws HolonError model_file_invalid */
export async function readModelConfig(folder: string): Promise<ModelConfig> {
  const path = join(folder, 'config.json')
  const invalid = (why: string, cause?: unknown): HolonError =>
    new HolonError('model_file_invalid', `${path} ${why}.`, { hint: 'Get the model again.', cause })
  let config: Record<string, unknown>
  try {
    config = JSON.parse(await readFile(path, 'utf8'))
  } catch (cause) {
    throw invalid('cannot be read as JSON', cause)
  }
  const inner = (config.text_config ?? config) as Record<string, unknown>
  const layers = inner.num_hidden_layers
  const heads = inner.num_attention_heads
  const kvHeads = inner.num_key_value_heads ?? heads
  if (!isCount(layers) || !isCount(heads) || !isCount(kvHeads)) {
    throw invalid('does not say how many layers and heads the model has')
  }
  return { type: String(config.model_type ?? inner.model_type ?? 'unknown'), layers, heads, kvHeads }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}

/** The whole folder's shards by tensor; null for a model in one file. */
export async function readWeightMap(folder: string): Promise<Record<string, string> | null> {
  const text = await readFile(join(folder, 'model.safetensors.index.json'), 'utf8').catch(() => null)
  if (text === null) return null
  try {
    const map = (JSON.parse(text) as { weight_map?: unknown }).weight_map
    if (typeof map === 'object' && map !== null) return map as Record<string, string>
  } catch {
    // Said below.
  }
  throw new HolonError(
    'model_file_invalid',
    `${folder}/model.safetensors.index.json is no index of shards.`,
    {
      hint: 'Get the model again.',
    },
  )
}

/**
 * A half-downloaded shard is refused before anything starts: engines fill what is missing with whatever memory holds.
 * @param files the shards that are needed here; null takes all that the model has
 * @throws HolonError model_file_missing, model_file_invalid
 */
export async function demandWholeShards(folder: string, files: readonly string[] | null): Promise<void> {
  const map = await readWeightMap(folder)
  const shards = files ?? (map === null ? await shardsIn(folder) : [...new Set(Object.values(map))])
  if (shards.length === 0) {
    throw new HolonError('model_file_missing', `${folder} holds no safetensors file.`)
  }
  for (const shard of shards) {
    const source = await fileByteSource(join(folder, shard))
    try {
      await readSafetensors(source)
    } finally {
      await source.close()
    }
  }
}

async function shardsIn(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch(() => [])
  return names.filter((name) => /^model.*\.safetensors$/.test(name)).sort()
}

/** @throws HolonError model_file_invalid */
export async function readModelCut(folder: string, strategies: ModelCut['strategies']): Promise<ModelCut> {
  const { layers, heads, kvHeads } = await readModelConfig(folder)
  return { layers, heads, kvHeads, strategies }
}
