import { expect, it } from 'vitest'
import { kvBytesPerToken, memoryNeed } from './memory-need.ts'

/** Llama 3.1 8B at Q4_K_M: 32 layers, 8 KV heads of 128, from its published configuration. */
const llama8b = {
  weightBytes: 4.92e9,
  kvHeadsPerLayer: new Array(32).fill(8),
  keyLength: 128,
  valueLength: 128,
  embeddingLength: 4096,
  vocabulary: 128_256,
}

it('counts 128 KiB of cache per token for Llama 3.1 8B', () => {
  expect(kvBytesPerToken(llama8b)).toBe(131_072)
})

it('grows with context and parallel sequences by the cache alone', () => {
  const one = memoryNeed(llama8b, 4096, 1)
  expect(memoryNeed(llama8b, 4096, 4) - one).toBe(3 * 4096 * 131_072)
  expect(one).toBeGreaterThan(4.92e9 + 4096 * 131_072)
})

it('counts no cache for layers that keep none', () => {
  expect(kvBytesPerToken({ ...llama8b, kvHeadsPerLayer: [0, 0, 8, 0] })).toBe(8 * 256 * 2)
})
