import { z } from 'zod'

/**
 * The shape of every entry in the facts. A new chip, link, quant or model is one more JSON entry; the schema test
 * refuses one that lacks a source or gives an absurd figure. `unverified` entries stay marked in every answer.
 */
const positive = z.number().positive().finite()
const provenance = {
  source: z.string().min(1),
  unverified: z.boolean().optional(),
  /** What is not known for certain, when `unverified`. */
  missing: z.string().optional(),
  note: z.string().nullish(),
}

export const chipTiers = ['base', 'pro', 'max', 'ultra', 'discrete', 'apu', 'cpu'] as const

export const chipFact = z.object({
  id: z.string().min(1),
  name: z.string().min(1),
  vendor: z.string().min(1),
  /** Architecture, for family-level speed parameters: `apple-m3`, `nvidia-ada`, `amd-rdna3.5`, `cpu-x86` ... */
  family: z.string().min(1),
  tier: z.enum(chipTiers),
  kind: z.enum(['gpu', 'cpu']),
  /** Nominal memory bandwidth, GB/s (10^9). */
  memory_bandwidth_gb_s: positive.max(20_000),
  gpu_cores: z.number().int().positive().nullish(),
  memory_options_gb: z.array(positive).nullish(),
  /** Nominal dense FP16 rate of the units that multiply matrices, TFLOPS. */
  matmul_tflops: positive.max(10_000),
  matmul_how: z.string().min(1),
  unified_memory: z.boolean(),
  thunderbolt: z.string().nullish(),
  rdma_over_thunderbolt: z.boolean().optional(),
  usable_gpu_memory_gib: positive.optional(),
  ...provenance,
})
export type ChipFact = z.infer<typeof chipFact>

export const linkFact = z.object({
  id: z.string().min(1),
  name: z.string().min(1),
  raw_gbit_s: positive.nullable(),
  /** What an application gets in one direction, GB/s (10^9). */
  usable_gb_s: positive.nullable(),
  latency_us_oneway: z.record(
    z.string(),
    z.union([z.number().nonnegative(), z.null(), z.array(z.number()), z.string()]),
  ),
  confidence: z.string(),
  planner_default_tcp_us: positive.optional(),
  planner_default_unverified: z.boolean().optional(),
  ...provenance,
})
export type LinkFact = z.infer<typeof linkFact>

export const quantFact = z.object({
  id: z.string().min(1),
  kind: z.string().min(1),
  /** Bits per weight, block scales included. */
  bpw: positive.max(64),
  bytes_per_param: positive,
  bpw_llama3_8b: positive.nullish(),
  bpw_llama3_70b: positive.nullish(),
  ...provenance,
})
export type QuantFact = z.infer<typeof quantFact>

const kvFact = z.object({
  type: z.string().min(1),
  bytes_per_token_f16: z.number().nonnegative(),
  fixed_bytes_per_seq: z.number().nonnegative(),
  full_layers: z.number().int().nonnegative().optional(),
  swa_layers: z.number().int().nonnegative().optional(),
  linear_layers: z.number().int().nonnegative().optional(),
  window: z.number().int().positive().optional(),
  window_bytes_per_token_f16: z.number().nonnegative().optional(),
  full_head_dim: z.number().int().positive().optional(),
  kv_lora_rank: z.number().int().positive().optional(),
  rope_dim: z.number().int().positive().optional(),
})

const expertsFact = z.object({
  n: z.number().int().positive(),
  top_k: z.number().int().positive(),
  moe_ffn: z.number().int().positive(),
  shared_ffn: z.number().int().nonnegative().optional(),
  dense_layers: z.number().int().nonnegative().optional(),
  dense_ffn: z.number().int().nonnegative().optional(),
  moe_every: z.number().int().positive().optional(),
  moe_layers: z.number().int().positive().optional(),
  /** Width of the experts' input when they live in a latent space smaller than the hidden size. */
  latent: z.number().int().positive().optional(),
  latent_hidden: z.number().int().positive().optional(),
})

export const modelFact = z.object({
  id: z.string().min(1),
  hf_repo: z.string().min(1),
  /** A Hugging Face repository with GGUF files of it, by name as published; not fetched when this was written. */
  gguf_repo: z
    .string()
    .regex(/^[\w.-]+\/[\w.-]+$/)
    .optional(),
  arch: z.string().min(1),
  params_total: positive,
  params_active: positive,
  /** Tables that are looked up, not multiplied, beside the token table (n-gram memories). */
  params_lookup: positive.optional(),
  layers: z.number().int().positive().nullable(),
  hidden: z.number().int().positive().nullable(),
  heads: z.number().int().positive().nullable(),
  kv_heads: z.number().int().positive().nullable(),
  head_dim: z.number().int().positive().nullable(),
  ffn: z.number().int().positive().nullable(),
  vocab: z.number().int().positive().nullable(),
  tied_embeddings: z.boolean().nullable(),
  max_context: z.number().int().positive().nullable(),
  attention: z.string().min(1),
  kv: kvFact.nullable(),
  experts: expertsFact.nullable(),
  native_quant: z.string().nullish(),
  ...provenance,
})
export type ModelFact = z.infer<typeof modelFact>

export const priceFact = z.object({
  id: z.string().min(1),
  name: z.string().min(1),
  /** Chip id, for machines; null for cables, switches and racks. */
  chip: z.string().nullable(),
  memory_gb: positive.nullable(),
  usd: positive,
  /** When the price was noted, YYYY-MM. Prices age: give your own with --price. */
  asOf: z.string().regex(/^\d{4}-\d{2}$/),
  ...provenance,
})
export type PriceFact = z.infer<typeof priceFact>
