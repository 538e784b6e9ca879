import type { ModelSpec } from './model-spec.ts'

/** KV cache and fixed state of one sequence, by the model's real attention. */

/** Elements count 16 bits in the facts; `bits` rescales (8.5 for q8_0, 4.5 for q4_0). State stays in 32 bits. */
export function kvBytesStored(model: ModelSpec, contextTokens: number, bits = 16): number {
  const { kv } = model
  const windowed = kv.windowBytesPerToken * Math.min(contextTokens, kv.window)
  return ((kv.fullBytesPerToken * contextTokens + windowed) * bits) / 16 + kv.stateBytes
}

/**
 * What llama.cpp allots before the first token: the whole context for full attention, and for sliding-window layers
 * the window plus one batch, padded to 256 (per sequence).
 */
export function kvBytesAllotted(
  model: ModelSpec,
  contextTokens: number,
  bits = 16,
  parallel = 1,
  batch = 2048,
): number {
  const { kv } = model
  const cells = Math.min(contextTokens, 256 * Math.ceil((kv.window * parallel + batch) / 256))
  const windowed = kv.windowBytesPerToken * (kv.window > 0 ? cells : 0)
  return ((kv.fullBytesPerToken * contextTokens + windowed) * bits) / 16 + kv.stateBytes * parallel
}

/** Bytes read to produce one token when `depth` tokens are cached. The fixed state is read and written back. */
export function kvBytesRead(model: ModelSpec, depth: number, bits = 16): number {
  const { kv } = model
  const windowed = kv.windowBytesPerToken * Math.min(depth, kv.window)
  return ((kv.fullBytesPerToken * depth + windowed) * bits) / 16 + 2 * kv.stateBytes
}
