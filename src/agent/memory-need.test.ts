import { expect, it } from 'vitest'
import { memoryNeed } from './memory-need.ts'

/** Llama 3.1 8B at Q4_K_M: 128 KiB of cache per token. */
const llama8b = {
  weightBytes: 4.92e9,
  cacheBytes: (tokens: number, parallel: number) => tokens * parallel * 131_072,
  embeddingLength: 4096,
  vocabulary: 128_256,
}

it('grows with context and parallel sequences by the cache alone', () => {
  const one = memoryNeed(llama8b, 4096, 1)
  expect(memoryNeed(llama8b, 4096, 4) - one).toBe(3 * 4096 * 131_072)
  expect(one).toBeGreaterThan(4.92e9 + 4096 * 131_072)
})
