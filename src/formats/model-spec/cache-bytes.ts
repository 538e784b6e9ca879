import { HolonError } from '../../core/errors.ts'
import { kvBytesAllotted, type ModelSpec } from '../../planner/index.ts'
import type { GgufHeader, GgufTensor } from '../gguf/gguf-header.ts'
import { modelFromGguf } from './from-gguf.ts'

/** Bytes of KV cache and fixed state (16-bit cache) that llama.cpp allots for `parallel` sequences of so many tokens each. */
export type CacheBytes = (contextTokens: number, parallel: number) => number

/**
 * What a model's context costs in memory, by its real attention. A header that lacks what the planner needs costs
 * nothing here: the engine then says what is wrong with the file, and says it better.
 */
export function cacheBytesOf(header: GgufHeader, tensors: readonly GgufTensor[]): CacheBytes {
  let model: ModelSpec
  try {
    model = modelFromGguf(header, tensors, 'the file').model
  } catch (error) {
    if (error instanceof HolonError) return () => 0
    throw error
  }
  return (contextTokens, parallel) =>
    Math.ceil(kvBytesAllotted(model, contextTokens * parallel, 16, parallel))
}
