/**
 * A language model as the planner needs it: how many weights, which of them are read for one token, and what one
 * token leaves in the KV cache. Built from the facts, from a file's header, or from a bare size (`dense:70b`).
 */

export interface KvSpec {
  /** Bytes per token that all full-attention layers store, at 16 bits per element. */
  fullBytesPerToken: number
  /** Bytes per token that the sliding-window layers store, at 16 bits, up to `window` tokens. */
  windowBytesPerToken: number
  window: number
  /** Bytes per sequence whatever the length: linear-attention and convolution state. */
  stateBytes: number
  fullLayers: number
  windowLayers: number
  /** Floating-point operations per (query token, cached token) pair, summed over the full-attention layers. */
  fullFlopsPerPair: number
  windowFlopsPerPair: number
  /** Ways the cache can be cut across tensor-parallel members; 1 for MLA and MQA (it is copied instead). */
  shards: number
  kind: 'gqa' | 'mla' | 'swa' | 'hybrid' | 'compressed'
}

export interface MoeSpec {
  experts: number
  topK: number
  /** Layers that have experts. */
  layers: number
  /** Parameters of all routed experts together. */
  routedParams: number
}

export interface ModelSpec {
  id: string
  name: string
  paramsTotal: number
  layers: number
  hidden: number
  vocab: number
  heads: number
  kvHeads: number
  /** Parameters that sit in memory but are looked up, not multiplied: the token table when it is not also the output. */
  lookupParams: number
  /** Parameters of the output head; needed once per token, not per prompt token. */
  headParams: number
  kv: KvSpec
  moe: MoeSpec | null
  maxContext: number | null
  /** Bits per weight the experts were published in, when the GGUF keeps them so (gpt-oss: MXFP4). */
  nativeExpertBpw: number | null
  source: string
  unverified: boolean
  /** What was assumed because nobody said. */
  assumed: string[]
}

/** Parameters read from memory for one token at batch 1 (lookups excluded, chosen experts only). */
export function paramsReadPerToken(model: ModelSpec): number {
  const dense = model.paramsTotal - model.lookupParams - (model.moe?.routedParams ?? 0)
  if (!model.moe) return dense
  return dense + (model.moe.routedParams * model.moe.topK) / model.moe.experts
}

/**
 * Share of the routed experts that a batch touches. Uniform routing would give 1 - (1 - k/E)^batch; real sequences
 * choose alike, which measured batches show as a smaller effective batch.
 */
export function expertShareTouched(moe: MoeSpec, tokens: number): number {
  return 1 - (1 - moe.topK / moe.experts) ** (tokens ** 0.8)
}
