/** How much memory a model will take before it is loaded: weights, KV cache, compute buffers, the program itself. */
import { MiB } from '../core/units.ts'
import type { CacheBytes } from '../formats/model-spec/cache-bytes.ts'

/** What the estimate needs to know of a model, from its header. */
export interface ModelShape {
  weightBytes: number
  cacheBytes: CacheBytes
  embeddingLength: number
  vocabulary: number
}

/** Tokens that llama.cpp computes at once (`n_ubatch`). */
const batchTokens = 512
/** The engine program itself. */
const processBytes = 96 * MiB

/** Bytes for `parallel` sequences of `contextTokens` each. */
export function memoryNeed(shape: ModelShape, contextTokens: number, parallel: number): number {
  // Logits of one batch and a handful of activations, in 32-bit floats.
  const compute = batchTokens * (shape.vocabulary + 8 * shape.embeddingLength) * 4
  return Math.ceil(shape.weightBytes + shape.cacheBytes(contextTokens, parallel) + compute + processBytes)
}
