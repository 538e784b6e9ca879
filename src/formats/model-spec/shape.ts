import { HolonError } from '../../core/errors.ts'
import type { KvSpec, ModelSpec, MoeSpec } from '../../planner/index.ts'

/**
 * A model's shape as any header or configuration gives it, and the planner's model that follows. Both formats fill
 * this in, so that attention kinds are understood in one place.
 */
export interface Shape {
  name: string
  architecture: string
  layers: number
  hidden: number
  heads: number
  /** KV heads per layer; one number when all layers are alike. */
  kvHeads: number | readonly number[]
  keyDim: number
  valueDim: number
  vocab: number
  maxContext: number | null
  tied: boolean
  window: number | null
  /** Of every so many layers one attends to everything; null when there is no window. */
  windowPattern: number | null
  /** Layers with full attention in a hybrid; null when all attend. */
  fullLayers: number | null
  /** Bytes of fixed state per sequence in a hybrid (32-bit). */
  stateBytes: number
  /** Latent width that MLA caches; null for other attention. */
  latent: number | null
  /** Last layers that reuse earlier layers' cache. */
  sharedKvLayers: number
  experts: number
  expertsUsed: number
  /** Parameters of all routed experts; null when only the configuration is there. */
  routedParams: number | null
  expertFfn: number | null
  denseLeadLayers: number
  paramsTotal: number
  source: string
}

const most: Record<string, number> = { layers: 10_000, hidden: 1_000_000, heads: 100_000, vocab: 100_000_000 }

/** A header may lie: refuse shapes no model has, before they become an infinite speed. */
export function checkShape(shape: Shape): void {
  const wrong = (what: string, value: unknown) =>
    new HolonError(
      'model_file_invalid',
      `${shape.source} says the model has ${what} ${String(value)}, which no model has.`,
    )
  for (const key of ['layers', 'hidden', 'heads', 'vocab'] as const) {
    const value = shape[key]
    if (!Number.isFinite(value) || value < 1 || value > most[key]!) throw wrong(key, value)
  }
  for (const key of ['keyDim', 'valueDim'] as const)
    if (!Number.isFinite(shape[key]) || shape[key] < 1 || shape[key] > 65_536) throw wrong(key, shape[key])
  const heads = typeof shape.kvHeads === 'number' ? [shape.kvHeads] : shape.kvHeads
  if (heads.some((count) => !Number.isFinite(count) || count < 0 || count > 100_000))
    throw wrong('KV heads', heads)
  if (
    shape.experts < 0 ||
    shape.experts > 100_000 ||
    (shape.experts > 0 && (shape.expertsUsed < 1 || shape.expertsUsed > shape.experts))
  )
    throw wrong('experts', `${shape.expertsUsed} of ${shape.experts}`)
  if (!Number.isFinite(shape.paramsTotal) || shape.paramsTotal < 1)
    throw wrong('parameters', shape.paramsTotal)
}

const bytes16 = 2

function kvOf(shape: Shape): KvSpec {
  const storing = Math.max(1, shape.layers - shape.sharedKvLayers)
  const full = shape.fullLayers ?? storing
  const perLayer = (layer: number) =>
    typeof shape.kvHeads === 'number' ? shape.kvHeads : (shape.kvHeads[layer] ?? 0)
  const kvHeads = Math.max(1, perLayer(shape.layers - 1), perLayer(0))
  const each = kvHeads * (shape.keyDim + shape.valueDim) * bytes16
  const flops = 2 * shape.heads * (shape.keyDim + shape.valueDim)
  const base = {
    window: 0,
    windowBytesPerToken: 0,
    windowLayers: 0,
    windowFlopsPerPair: 0,
    stateBytes: shape.stateBytes,
  }
  if (shape.latent !== null)
    return {
      ...base,
      fullBytesPerToken: shape.layers * shape.latent * bytes16,
      fullLayers: shape.layers,
      fullFlopsPerPair: shape.layers * flops,
      shards: 1,
      kind: 'mla',
    }
  if (shape.window !== null && shape.windowPattern !== null) {
    const globalLayers = Math.max(0, Math.floor(storing / shape.windowPattern))
    const windowLayers = storing - globalLayers
    return {
      fullBytesPerToken: globalLayers * each,
      windowBytesPerToken: windowLayers * each,
      window: shape.window,
      stateBytes: 0,
      fullLayers: globalLayers,
      windowLayers,
      fullFlopsPerPair: globalLayers * flops,
      windowFlopsPerPair: windowLayers * flops,
      shards: kvHeads,
      kind: 'swa',
    }
  }
  const sum =
    typeof shape.kvHeads === 'number'
      ? full * each
      : shape.kvHeads.reduce((total, count) => total + count, 0) * (shape.keyDim + shape.valueDim) * bytes16
  return {
    ...base,
    fullBytesPerToken: sum,
    fullLayers: full,
    fullFlopsPerPair: full * flops,
    shards: kvHeads,
    kind: shape.fullLayers !== null ? 'hybrid' : 'gqa',
  }
}

function moeOf(shape: Shape): MoeSpec | null {
  if (shape.experts === 0) return null
  const layers = Math.max(1, shape.layers - shape.denseLeadLayers)
  const routed =
    shape.routedParams ?? layers * shape.experts * 3 * shape.hidden * (shape.expertFfn ?? shape.hidden)
  return {
    experts: shape.experts,
    topK: shape.expertsUsed,
    layers,
    routedParams: Math.min(routed, shape.paramsTotal * 0.99),
  }
}

/** @throws HolonError model_file_invalid when the shape is impossible */
export function specFromShape(shape: Shape): ModelSpec {
  checkShape(shape)
  const table = Math.min(shape.vocab * shape.hidden, shape.paramsTotal * 0.9)
  const heads = typeof shape.kvHeads === 'number' ? shape.kvHeads : Math.max(...shape.kvHeads)
  return {
    id: shape.name,
    name: shape.name,
    paramsTotal: shape.paramsTotal,
    layers: shape.layers,
    hidden: shape.hidden,
    vocab: shape.vocab,
    heads: shape.heads,
    kvHeads: Math.max(1, heads),
    lookupParams: shape.tied ? 0 : Math.min(table, shape.paramsTotal * 0.5),
    headParams: table,
    kv: kvOf(shape),
    moe: moeOf(shape),
    maxContext: shape.maxContext,
    nativeExpertBpw: null,
    source: shape.source,
    unverified: false,
    assumed: [],
  }
}
