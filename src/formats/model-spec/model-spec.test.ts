import fc from 'fast-check'
import { expect, it } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import { modelById } from '../../facts/index.ts'
import { modelFromFact } from '../../planner/index.ts'
import { memoryByteSource } from '../byte-source-memory.ts'
import { readGguf } from '../gguf/read-gguf.ts'
import { writeGguf } from '../gguf/write-gguf.ts'
import { readSafetensors } from '../safetensors/read-safetensors.ts'
import { modelFromConfig } from './from-config.ts'
import { modelFromGguf } from './from-gguf.ts'
import { modelFromSafetensors } from './from-safetensors.ts'

function safetensors(header: object, data = 64): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header))
  const bytes = new Uint8Array(8 + json.length + data)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true)
  bytes.set(json, 8)
  return bytes
}

const tiny = {
  metadata: {
    'general.architecture': 'llama',
    'general.name': 'tiny',
    'llama.block_count': 2,
    'llama.context_length': 512,
    'llama.embedding_length': 64,
    'llama.feed_forward_length': 128,
    'llama.attention.head_count': 4,
    'llama.attention.head_count_kv': 2,
    'llama.expert_count': 4,
    'llama.expert_used_count': 2,
  },
  tensors: [
    { name: 'token_embd.weight', shape: [64, 100], type: 'F16' },
    { name: 'output.weight', shape: [64, 100], type: 'Q8_0' },
    { name: 'blk.0.attn_q.weight', shape: [64, 64], type: 'Q8_0' },
    { name: 'blk.0.ffn_up_exps.weight', shape: [64, 128, 4], type: 'Q8_0' },
  ],
}

it('a GGUF header gives exact bytes, experts and the cache of its attention', async () => {
  const header = await readGguf(memoryByteSource(writeGguf(tiny)))
  const { model, weights, quant } = modelFromGguf(header, header.tensors, 'tiny.gguf')
  expect(weights).toMatchObject({ how: 'header', lookup: 64 * 100 * 2, experts: (64 * 128 * 4 * 34) / 32 })
  expect(weights.total).toBe(weights.dense + weights.experts + weights.lookup)
  expect(model.moe).toMatchObject({ experts: 4, topK: 2, routedParams: 64 * 128 * 4 })
  expect(model.kv.fullBytesPerToken).toBe(2 * 2 * 2 * 16 * 2)
  expect(quant.class).toBe('int8')
})

it('a GGUF that lies about its shape is refused, never planned for', async () => {
  for (const lie of [
    { 'llama.block_count': 0 },
    { 'llama.embedding_length': 4_000_000_000 },
    { 'llama.expert_used_count': 9 },
  ]) {
    const header = await readGguf(
      memoryByteSource(writeGguf({ ...tiny, metadata: { ...tiny.metadata, ...lie } })),
    )
    expect(() => modelFromGguf(header, header.tensors, 'liar.gguf')).toThrow(HolonError)
  }
})

const qwen3 = {
  model_type: 'qwen3',
  hidden_size: 4096,
  num_hidden_layers: 36,
  num_attention_heads: 32,
  num_key_value_heads: 8,
  head_dim: 128,
  intermediate_size: 12_288,
  vocab_size: 151_936,
  tie_word_embeddings: false,
  max_position_embeddings: 40_960,
}

it('a config.json gives the parameters and cache that the catalogue has for the model', () => {
  const fromFile = modelFromConfig(qwen3, 'config.json')
  const fromFacts = modelFromFact(modelById('qwen3-8b')!)
  expect(fromFile.paramsTotal / fromFacts.paramsTotal).toBeCloseTo(1, 2)
  expect(fromFile.kv.fullBytesPerToken).toBe(fromFacts.kv.fullBytesPerToken)
})

it('a latent attention and a mixture are read from a config.json', () => {
  const model = modelFromConfig(
    {
      ...qwen3,
      kv_lora_rank: 512,
      qk_rope_head_dim: 64,
      n_routed_experts: 64,
      num_experts_per_tok: 4,
      moe_intermediate_size: 1536,
    },
    'config.json',
  )
  expect(model.kv).toMatchObject({ kind: 'mla', fullBytesPerToken: 36 * 576 * 2, shards: 1 })
  expect(model.moe).toMatchObject({ experts: 64, topK: 4 })
})

it('no configuration, a negative width or words for numbers are refused', () => {
  for (const bad of [null, {}, { ...qwen3, hidden_size: -1 }, { ...qwen3, vocab_size: 'many' }])
    expect(() => modelFromConfig(bad, 'config.json')).toThrow(HolonError)
})

it('a safetensors header gives exact bytes, MLX packing included', async () => {
  const file = safetensors({
    'model.embed_tokens.weight': { dtype: 'F16', shape: [4, 8], data_offsets: [0, 32] },
    'model.layers.0.mlp.weight': { dtype: 'U32', shape: [8], data_offsets: [32, 64] },
  })
  const header = await readSafetensors(memoryByteSource(file))
  expect(header).toMatchObject({ tensorBytes: 64, params: 40 })
  const { weights, quant } = modelFromSafetensors(
    { ...qwen3, quantization: { bits: 4, group_size: 64 } },
    [header],
    'folder',
  )
  expect(weights.total).toBe(64)
  expect(quant.bpw).toBe(4.5)
})

it('damaged safetensors are refused with a reason, whatever the damage', async () => {
  const sound = safetensors({ a: { dtype: 'F16', shape: [32], data_offsets: [0, 64] } })
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: sound.length - 1 }),
      fc.integer({ min: 0, max: 255 }),
      async (at, value) => {
        const damaged = Uint8Array.from(sound)
        damaged[at] = value
        await readSafetensors(memoryByteSource(damaged.subarray(0, Math.max(1, at)))).catch((error) =>
          expect(error).toBeInstanceOf(HolonError),
        )
        await readSafetensors(memoryByteSource(damaged)).catch((error) =>
          expect(error).toBeInstanceOf(HolonError),
        )
      },
    ),
  )
  await expect(readSafetensors(memoryByteSource(sound.subarray(0, 20)))).rejects.toThrow(/claims/)
})
