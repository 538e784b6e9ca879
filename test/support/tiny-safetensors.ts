/** Writes model folders for tests: a config, and shards that are sound safetensors of a few bytes, with an index. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface TinyModel {
  layers?: number
  /** Layers in one shard; without it all are in one file and there is no index. */
  layersPerShard?: number
  /** Bytes of each layer. */
  layerBytes?: number
}

/** Names of its files. */
export function writeTinySafetensors(folder: string, options: TinyModel = {}): string[] {
  const { layers = 2, layersPerShard, layerBytes = 64 } = options
  mkdirSync(folder, { recursive: true })
  const config = { model_type: 'llama', num_hidden_layers: layers, num_attention_heads: 4, hidden_size: 64 }
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config))
  writeFileSync(join(folder, 'tokenizer.json'), '{}')
  const names = ['config.json', 'tokenizer.json']
  const perShard = layersPerShard ?? layers
  const shards = Math.ceil(layers / perShard)
  const weight_map: Record<string, string> = {}
  for (let shard = 0; shard < shards; shard++) {
    const file =
      layersPerShard === undefined ? 'model.safetensors' : `model-${shard + 1}-of-${shards}.safetensors`
    const tensors = Array.from({ length: Math.min(perShard, layers - shard * perShard) }, (_, at) => {
      const layer = shard * perShard + at
      return `model.layers.${layer}.weight`
    })
    if (shard === 0) tensors.unshift('model.embed_tokens.weight')
    for (const tensor of tensors) weight_map[tensor] = file
    writeFileSync(join(folder, file), safetensors(tensors, layerBytes, shard))
    names.push(file)
  }
  if (layersPerShard !== undefined) {
    writeFileSync(join(folder, 'model.safetensors.index.json'), JSON.stringify({ weight_map }))
    names.push('model.safetensors.index.json')
  }
  return names
}

function safetensors(tensors: readonly string[], bytes: number, seed: number): Buffer {
  const entries = tensors.map((name, at) => [
    name,
    { dtype: 'U8', shape: [bytes], data_offsets: [at * bytes, (at + 1) * bytes] },
  ])
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)))
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(header.length))
  const data = Buffer.from(Array.from({ length: tensors.length * bytes }, (_, at) => (at * 31 + seed) % 251))
  return Buffer.concat([length, header, data])
}
