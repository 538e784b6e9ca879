import { expect, test } from 'vitest'
import { memoryByteSource } from '../byte-source-memory.ts'
import { readGguf } from '../gguf/read-gguf.ts'
import { writeGguf } from '../gguf/write-gguf.ts'
import { cacheBytesOf } from './cache-bytes.ts'

/** Llama 3.1 8B: 32 layers, 32 heads, 8 KV heads of 128, from its published configuration. */
const llama8b = {
  'general.architecture': 'llama',
  'llama.block_count': 32,
  'llama.embedding_length': 4096,
  'llama.feed_forward_length': 14_336,
  'llama.attention.head_count': 32,
  'llama.attention.head_count_kv': 8,
  'llama.context_length': 131_072,
}

async function cacheOf(metadata: Record<string, number | string>) {
  const file = writeGguf({
    metadata,
    tensors: [{ name: 'token_embd.weight', shape: [4096, 32], type: 'F16' }],
  })
  const header = await readGguf(memoryByteSource(file))
  return cacheBytesOf(header, header.tensors)
}

test('Llama 3.1 8B takes 128 KiB of cache per token, for every sequence its own', async () => {
  const bytes = await cacheOf(llama8b)
  expect(bytes(1000, 1)).toBe(1000 * 131_072)
  expect(bytes(1000, 4)).toBe(4000 * 131_072)
})

test('a sliding window bounds what its layers take', async () => {
  const windowed = {
    ...llama8b,
    'llama.attention.sliding_window': 1024,
    'llama.attention.sliding_window_pattern': 4,
  }
  const bytes = await cacheOf(windowed)
  expect(bytes(100_000, 1)).toBeLessThan(0.3 * 100_000 * 131_072)
})

test('a header without attention costs nothing here', async () => {
  const bytes = await cacheOf({ 'general.architecture': 'llama' })
  expect(bytes(1000, 1)).toBe(0)
})
