import { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import type { ModelSpec } from '../../planner/index.ts'
import { type Shape, specFromShape } from './shape.ts'

/**
 * The planner's model from a Hugging Face `config.json`. Without tensors the parameters are counted from the shape,
 * which reproduces published totals to about one percent for the usual architectures.
 */

const count = z.number().int().positive()
const configSchema = z.looseObject({
  model_type: z.string().optional(),
  _name_or_path: z.string().optional(),
  hidden_size: count,
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  head_dim: count.nullish(),
  intermediate_size: count.nullish(),
  vocab_size: count,
  max_position_embeddings: count.nullish(),
  tie_word_embeddings: z.boolean().nullish(),
  sliding_window: z.number().nullish(),
  sliding_window_pattern: z.number().nullish(),
  use_sliding_window: z.boolean().nullish(),
  layer_types: z.array(z.string()).nullish(),
  num_kv_shared_layers: z.number().nullish(),
  full_attention_interval: z.number().nullish(),
  kv_lora_rank: z.number().nullish(),
  qk_rope_head_dim: z.number().nullish(),
  num_experts: z.number().nullish(),
  num_local_experts: z.number().nullish(),
  n_routed_experts: z.number().nullish(),
  num_experts_per_tok: z.number().nullish(),
  moe_intermediate_size: z.number().nullish(),
  shared_expert_intermediate_size: z.number().nullish(),
  n_shared_experts: z.number().nullish(),
  first_k_dense_replace: z.number().nullish(),
  linear_num_value_heads: z.number().nullish(),
  linear_key_head_dim: z.number().nullish(),
  linear_value_head_dim: z.number().nullish(),
})
type Config = z.infer<typeof configSchema>

function layerPattern(config: Config): { pattern: number | null; full: number | null } {
  const types = config.layer_types
  if (types && types.length > 0) {
    const full = types.filter((type) => type === 'full_attention').length
    if (types.some((type) => /linear|mamba|recurrent/.test(type))) return { pattern: null, full }
    if (full < types.length)
      return { pattern: full === 0 ? types.length + 1 : types.length / full, full: null }
    return { pattern: null, full: null }
  }
  if (config.full_attention_interval)
    return { pattern: null, full: Math.floor(config.num_hidden_layers / config.full_attention_interval) }
  return { pattern: config.sliding_window_pattern ?? null, full: null }
}

function paramsOf(config: Config, headDim: number): { total: number; routed: number } {
  const { hidden_size: hidden, num_hidden_layers: layers, num_attention_heads: heads } = config
  const kvHeads = config.num_key_value_heads ?? heads
  const experts = config.num_experts ?? config.num_local_experts ?? config.n_routed_experts ?? 0
  const table = config.vocab_size * hidden
  const attention = config.kv_lora_rank
    ? hidden * (config.kv_lora_rank * 2 + heads * headDim)
    : hidden * headDim * (2 * heads + 2 * kvHeads)
  const dense = 3 * hidden * (config.intermediate_size ?? 4 * hidden)
  const expertWidth = config.moe_intermediate_size ?? config.intermediate_size ?? hidden
  const moeLayers = experts > 0 ? layers - (config.first_k_dense_replace ?? 0) : 0
  const routed = moeLayers * experts * 3 * hidden * expertWidth
  const shared = config.shared_expert_intermediate_size ?? (config.n_shared_experts ?? 0) * expertWidth
  const feedForward = (layers - moeLayers) * dense + moeLayers * (3 * hidden * shared + hidden * experts)
  return {
    total: table * (config.tie_word_embeddings ? 1 : 2) + layers * attention + feedForward + routed,
    routed,
  }
}

/**
 * @param exactParams parameters counted from the tensors, when a safetensors header is there too
 * @throws HolonError model_file_invalid when it is no model configuration or says impossible things
 */
export function modelFromConfig(json: unknown, source: string, exactParams: number | null = null): ModelSpec {
  const body = json as { text_config?: unknown } | null
  const parsed = configSchema.safeParse(body?.text_config ?? json)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new HolonError(
      'model_file_invalid',
      `${source} is no model configuration the planner can read: ${issue?.path.join('.')} ${issue?.message}.`,
    )
  }
  const config = parsed.data
  const headDim = config.head_dim ?? config.hidden_size / config.num_attention_heads
  const { pattern, full } = layerPattern(config)
  const params = paramsOf(config, headDim)
  const windowed = config.use_sliding_window !== false && (config.sliding_window ?? 0) > 0
  const linearLayers = full === null ? 0 : config.num_hidden_layers - full
  const shape: Shape = {
    name: config._name_or_path || (config.model_type ?? source),
    architecture: config.model_type ?? 'unknown',
    layers: config.num_hidden_layers,
    hidden: config.hidden_size,
    heads: config.num_attention_heads,
    kvHeads: config.num_key_value_heads ?? config.num_attention_heads,
    keyDim: headDim,
    valueDim: headDim,
    vocab: config.vocab_size,
    maxContext: config.max_position_embeddings ?? null,
    tied: config.tie_word_embeddings ?? false,
    window: windowed ? (config.sliding_window as number) : null,
    windowPattern: windowed
      ? (pattern ??
        (config.model_type?.startsWith('gemma3')
          ? 6
          : config.layer_types
            ? null
            : config.num_hidden_layers + 1))
      : null,
    fullLayers: full,
    stateBytes:
      linearLayers *
      (config.linear_num_value_heads ?? 0) *
      (config.linear_key_head_dim ?? 0) *
      (config.linear_value_head_dim ?? 0) *
      4,
    latent: config.kv_lora_rank ? config.kv_lora_rank + (config.qk_rope_head_dim ?? 64) : null,
    sharedKvLayers: config.num_kv_shared_layers ?? 0,
    experts: config.num_experts ?? config.num_local_experts ?? config.n_routed_experts ?? 0,
    expertsUsed: config.num_experts_per_tok ?? 0,
    routedParams: params.routed,
    expertFfn: config.moe_intermediate_size ?? null,
    denseLeadLayers: config.first_k_dense_replace ?? 0,
    paramsTotal: exactParams ?? params.total,
    source,
  }
  return specFromShape(shape)
}
