import type { ModelFact } from '../facts/index.ts'
import type { KvSpec, ModelSpec, MoeSpec } from './model-spec.ts'

/** Published experts that stay in their own format inside every GGUF of the model. */
const MXFP4_BPW = 4.25

/** Where nobody published them: what nearly every large model since 2024 has. */
const USUAL_KV_HEADS = 8

function kvKind(fact: ModelFact): KvSpec['kind'] {
  const type = fact.kv?.type ?? 'gqa'
  if (type === 'mla') return 'mla'
  if (type === 'swa') return 'swa'
  if (type === 'csa_hca') return 'compressed'
  if (type.startsWith('hybrid')) return 'hybrid'
  return 'gqa'
}

function kvSpec(fact: ModelFact, layers: number, heads: number, headDim: number): KvSpec {
  const kv = fact.kv
  const kind = kvKind(fact)
  const fullLayers = kv?.full_layers ?? layers
  const windowLayers = kv?.swa_layers ?? 0
  const fullBytes =
    kv?.bytes_per_token_f16 ?? 2 * layers * (fact.kv_heads ?? Math.min(heads, USUAL_KV_HEADS)) * headDim * 2
  const window = kv?.window ?? 0
  const windowBytes = kind === 'swa' ? (kv?.window_bytes_per_token_f16 ?? 0) : 0
  const windowFixed = windowBytes * window
  const width = kind === 'mla' ? (kv?.kv_lora_rank ?? 512) + (kv?.rope_dim ?? 64) : headDim
  const fullWidth = kv?.full_head_dim ?? width
  return {
    fullBytesPerToken: fullBytes,
    windowBytesPerToken: windowBytes,
    window,
    stateBytes: Math.max(0, (kv?.fixed_bytes_per_seq ?? 0) - windowFixed),
    fullLayers,
    windowLayers,
    fullFlopsPerPair: 4 * fullLayers * heads * (kind === 'mla' ? 192 : fullWidth),
    windowFlopsPerPair: 4 * windowLayers * heads * headDim,
    shards:
      kind === 'mla' || kind === 'compressed'
        ? 1
        : Math.max(1, fact.kv_heads ?? Math.min(heads, USUAL_KV_HEADS)),
    kind,
  }
}

/** Active parameters counted from the shape may differ this much from the published figure before it is believed. */
const ACTIVE_TOLERANCE = 0.3

/**
 * Routed parameters that agree with both published totals. The count from the shape stands unless the rest it leaves
 * contradicts the published active size: a few percent of all experts are as much as the whole dense part.
 */
function agreeing(fact: ModelFact, routed: number, chosen: number): number {
  const beside = fact.params_total - (fact.params_lookup ?? 0)
  const active = beside - routed * (1 - chosen)
  if (Math.abs(active / fact.params_active - 1) <= ACTIVE_TOLERANCE) return routed
  const solved = (beside - fact.params_active) / (1 - chosen)
  return Math.abs(solved / routed - 1) <= ACTIVE_TOLERANCE ? solved : routed
}

function moeSpec(fact: ModelFact, layers: number, hidden: number): MoeSpec | null {
  const experts = fact.experts
  if (!experts) return null
  const every = experts.moe_every ?? 1
  const moeLayers = experts.moe_layers ?? Math.floor((layers - (experts.dense_layers ?? 0)) / every)
  const width = experts.latent ?? experts.latent_hidden ?? hidden
  // Nemotron's experts have no gate: two matrices instead of three.
  const matrices = fact.arch === 'nemotron_h' ? 2 : 3
  const routed = moeLayers * experts.n * matrices * width * experts.moe_ffn
  return {
    experts: experts.n,
    topK: experts.top_k,
    layers: moeLayers,
    routedParams: Math.min(agreeing(fact, routed, experts.top_k / experts.n), fact.params_total * 0.99),
  }
}

/** Fills the gaps a fact may have (unpublished models) by the usual proportions, and says so. */
export function modelFromFact(fact: ModelFact): ModelSpec {
  const assumed: string[] = []
  if (fact.layers === null || fact.hidden === null) {
    assumed.push(`layers and width of ${fact.id} are not published; estimated from its size`)
  }
  const shape = typicalShape(fact.params_total, fact.params_active)
  const layers = fact.layers ?? shape.layers
  const hidden = fact.hidden ?? shape.hidden
  const heads = fact.heads ?? Math.max(8, Math.round(hidden / 128))
  const headDim = fact.head_dim ?? 128
  const vocab = fact.vocab ?? 150_000
  const table = vocab * hidden
  // Gemma's per-layer tables are looked up too: the total exceeds what is multiplied although there are no experts.
  const perLayerTables = fact.experts ? 0 : Math.max(0, fact.params_total - fact.params_active)
  const moe = moeSpec(fact, layers, hidden)
  const unknownMoe = !fact.experts && fact.layers === null && fact.params_active < fact.params_total * 0.6
  if (fact.unverified) assumed.push(`${fact.id} is unverified: ${fact.missing ?? 'not re-read'}`)
  return {
    id: fact.id,
    name: fact.hf_repo,
    paramsTotal: fact.params_total,
    layers,
    hidden,
    vocab,
    heads,
    kvHeads: fact.kv_heads ?? Math.min(heads, USUAL_KV_HEADS),
    lookupParams: unknownMoe
      ? table
      : (fact.tied_embeddings ? 0 : table) + (fact.params_lookup ?? perLayerTables),
    headParams: table,
    kv: kvSpec(fact, layers, heads, headDim),
    moe: unknownMoe ? impliedMoe(fact.params_total, fact.params_active, layers, table) : moe,
    maxContext: fact.max_context,
    nativeExpertBpw: fact.native_quant?.startsWith('MXFP4') ? MXFP4_BPW : null,
    source: fact.source,
    unverified: fact.unverified ?? false,
    assumed,
  }
}

/** Layers and width that models of this size usually have (read off the facts: width grows as size^0.37). */
export function typicalShape(paramsTotal: number, paramsActive: number): { layers: number; hidden: number } {
  const trunk = Math.sqrt(paramsActive * Math.min(paramsTotal, paramsActive * 4))
  const hidden = Math.max(512, 256 * Math.round((4096 * (trunk / 8e9) ** 0.37) / 256))
  const layers = Math.max(8, Math.round(34 * (Math.min(paramsTotal, paramsActive * 8) / 8e9) ** 0.28))
  return { layers, hidden }
}

/** Experts that explain a published "total, active" pair when nothing more is known. */
export function impliedMoe(total: number, active: number, layers: number, table: number): MoeSpec | null {
  if (active >= total * 0.9) return null
  const experts = 128
  const topK = 8
  // active = total - routed + routed * k/E, lookups apart
  const routed = Math.min(total * 0.98, (total - active - table) / (1 - topK / experts))
  return { experts, topK, layers, routedParams: Math.max(0, routed) }
}
