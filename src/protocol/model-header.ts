/**
 * A model's shape as its own header tells it, on the way from the member that holds the file to the hub that plans
 * with it. The same fields as the planner's model, bounded, since a member is a stranger to the hub.
 */
import { z } from 'zod'

const count = z.number().nonnegative().max(1e16)
const text = z.string().max(500)

const cache = z.object({
  fullBytesPerToken: count,
  windowBytesPerToken: count,
  window: count,
  stateBytes: count,
  fullLayers: count,
  windowLayers: count,
  fullFlopsPerPair: count,
  windowFlopsPerPair: count,
  shards: z.number().int().min(1).max(100_000),
  kind: z.enum(['gqa', 'mla', 'swa', 'hybrid', 'compressed']),
})

const experts = z.object({ experts: count, topK: count, layers: count, routedParams: count })

export const modelHeader = z.object({
  model: z.object({
    id: text,
    name: text,
    paramsTotal: count,
    layers: z.number().int().min(1).max(10_000),
    hidden: z.number().min(1).max(1e7),
    vocab: count,
    heads: z.number().min(1).max(1e6),
    kvHeads: count,
    lookupParams: count,
    headParams: count,
    kv: cache,
    moe: experts.nullable(),
    maxContext: z.number().positive().max(1e9).nullable(),
    nativeExpertBpw: count.nullable(),
    source: z.string().max(4096),
    unverified: z.boolean(),
    assumed: z.array(text).max(64),
  }),
  weights: z.object({
    total: z.number().positive().max(1e16),
    experts: count,
    lookup: count,
    dense: count,
    head: count,
    how: z.enum(['header', 'file size', 'bits per weight']),
  }),
  quant: z.object({
    id: text,
    class: z.enum([
      'f16', 'int8', 'k6', 'k5', 'k4', 'k3', 'k2', 'legacy4', 'iq', 'fp4', 'affine', 'tiny',
    ]), // biome-ignore format: a list of words
    bpw: count,
    expertBpw: count,
    headBpw: count,
    tableBpw: count,
    source: text,
    unverified: z.boolean(),
  }),
})
export type ModelHeader = z.infer<typeof modelHeader>
