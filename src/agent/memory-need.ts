/**
 * How much memory a model will take before it is loaded: weights, KV cache, compute buffers. Plain grouped-query
 * attention with a 16-bit cache: latent attention (MLA), sliding windows and recurrent layers need less than this
 * says. It decides what may be loaded beside what, so it errs upwards.
 */
import { MiB } from '../core/units.ts'

/** What the estimate needs to know of a model, from its header. */
export interface ModelShape {
  weightBytes: number
  /** One number per layer; 0 for layers that keep no cache. */
  kvHeadsPerLayer: readonly number[]
  /** Elements per head. */
  keyLength: number
  valueLength: number
  embeddingLength: number
  vocabulary: number
}

const cacheElementBytes = 2
/** Tokens that llama.cpp computes at once (`n_ubatch`). */
const batchTokens = 512
/** The engine program itself. */
const processBytes = 96 * MiB

/** Bytes of KV cache per token and sequence. */
export function kvBytesPerToken(shape: ModelShape): number {
  const heads = shape.kvHeadsPerLayer.reduce((sum, count) => sum + count, 0)
  return heads * (shape.keyLength + shape.valueLength) * cacheElementBytes
}

/** Bytes for `parallel` sequences of `contextTokens` each. */
export function memoryNeed(shape: ModelShape, contextTokens: number, parallel: number): number {
  const cache = kvBytesPerToken(shape) * contextTokens * parallel
  // Logits of one batch and a handful of activations, in 32-bit floats.
  const compute = batchTokens * (shape.vocabulary + 8 * shape.embeddingLength) * 4
  return Math.ceil(shape.weightBytes + cache + compute + processBytes)
}
