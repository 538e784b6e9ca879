/** Bodies of the management API about pools and links. */
import { z } from 'zod'
import { loadProgress } from './model.ts'
import { linkProbe, networkInterface, poolEngineIds } from './pool.ts'

const range = z.object({ expected: z.number(), low: z.number(), high: z.number() })

const memberMemory = z.object({
  weightsBytes: z.number(),
  kvBytes: z.number(),
  computeBytes: z.number(),
  reserveBytes: z.number(),
  totalBytes: z.number(),
  limitBytes: z.number(),
})

export const whenAMemberDies = z.object({
  node: z.string(),
  outcome: z.enum(['rebuild', 'solo', 'fallback', 'down']),
  detail: z.string(),
})
export type WhenAMemberDies = z.infer<typeof whenAMemberDies>

export const previewPlacement = z.object({
  id: z.string(),
  /** `solo` is a member's own engine. */
  engine: z.enum([...poolEngineIds, 'solo']),
  strategy: z.enum(['solo', 'pipeline', 'tensor']),
  head: z.string(),
  fits: z.boolean(),
  whyNot: z.string().nullable(),
  /** Head first; of a cluster that tells of them, its machines. `memory` is null when it does not fit. */
  members: z.array(
    z.object({ node: z.string(), layers: z.number(), share: z.number(), memory: memberMemory.nullable() }),
  ),
  /** The slowest link between its members. */
  link: z
    .object({
      between: z.array(z.string()),
      name: z.string(),
      measured: z.boolean(),
      bytesS: z.number(),
      latencyMs: z.number(),
    })
    .nullable(),
  contextTokens: z.number(),
  decodeTokS: range,
  prefillTokS: range,
  ttftS: range,
  /** `unknown`: nobody here can tell how fast it is, and the speeds are zero. */
  basis: z.enum(['measured', 'calibrated', 'modelled', 'unknown']),
  /** Where the model's shape is from. */
  modelSource: z.string(),
  loadS: z.number(),
  loadHow: z.string(),
  whenAMemberDies: z.array(whenAMemberDies),
  because: z.array(z.string()),
  /** Null for the recommended one. */
  losesBecause: z.string().nullable(),
})
export type PreviewPlacement = z.infer<typeof previewPlacement>

export const poolPreview = z.object({
  model: z.string(),
  placements: z.array(previewPlacement),
  recommended: z.string().nullable(),
  unknowns: z.array(z.string()),
})
export type PoolPreview = z.infer<typeof poolPreview>

const nodeName = z.string().min(1).max(200)
const asked = {
  model: z.string().min(1).max(200),
  engine: z.enum(poolEngineIds).optional(),
  contextTokens: z.number().int().min(64).max(16_777_216).optional(),
  parallel: z.number().int().min(1).max(256).optional(),
  fallback: z.string().min(1).max(200).optional(),
}

export const previewRequest = z.object({ ...asked, nodes: z.array(nodeName).max(64).optional() })
export type PreviewRequest = z.infer<typeof previewRequest>

export const createPoolRequest = z.object({
  ...asked,
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i, 'must be letters, digits, dots and dashes, at most 63'),
  nodes: z.array(nodeName).min(1).max(64),
  /** `NODE:INTERFACE` of cables that lead to no one but the members. */
  isolatedLinks: z.array(z.string().min(3).max(300)).max(64).optional(),
})
export type CreatePoolRequest = z.infer<typeof createPoolRequest>
export const namedPool = z.object({ name: z.string().min(1).max(200) })

const speeds = z.object({
  predictedTokS: z.number().nullable(),
  /** Median of the latest answers; null before there are enough of them. */
  measuredTokS: z.number().nullable(),
})

export const poolView = z.object({
  name: z.string(),
  model: z.string(),
  engine: z.enum(poolEngineIds),
  fallback: z.string().nullable(),
  phase: z.enum(['resting', 'checking', 'opening', 'starting', 'ready', 'draining', 'stopping']),
  /** Who answers now; `none` means nobody, and `reason` says why. */
  service: z.enum(['group', 'solo', 'fallback', 'none']),
  /** Node that answers alone or as fallback. */
  servedBy: z.string().nullable(),
  reason: z.string().nullable(),
  progress: loadProgress.nullable(),
  members: z.array(
    z.object({
      node: z.string(),
      state: z.enum(['in', 'here', 'away', 'settling', 'unfit', 'left-out']),
      why: z.string().nullable(),
      untilMs: z.number().nullable(),
      failures: z.number(),
      /** Rank in the group that serves or is launched; 0 is the head. */
      rank: z.number().nullable(),
      layers: z.number().nullable(),
      plannedBytes: z.number().nullable(),
      memoryBytes: z.number().nullable(),
      wire: z.enum(['encrypted', 'isolated']).nullable(),
    }),
  ),
  contextTokens: z.number().nullable(),
  pooled: speeds,
  solo: speeds.extend({ node: z.string().nullable() }),
  /** Why it runs pooled, or on one machine alone. */
  choice: z.string(),
  readySinceMs: z.number().nullable(),
  nextTryMs: z.number().nullable(),
})
export type PoolView = z.infer<typeof poolView>
export const poolsResponse = z.object({ pools: z.array(poolView) })
export const removedPool = z.object({ name: z.string() })

export const linkView = z.object({
  from: z.string(),
  to: z.string(),
  /** Where the packets were meant to leave and to arrive. */
  interface: networkInterface,
  peerInterface: networkInterface,
  kind: z.enum(['same box', 'Thunderbolt', 'Ethernet', 'Wi-Fi', 'network']),
  tier: z.enum(['same box', 'Thunderbolt', 'network']),
  /** `ready`, or why there is no RDMA here; null where nobody expects it. */
  rdma: z.string().nullable(),
  probe: linkProbe.nullable(),
  /** Why the latest measurement failed. */
  failure: z.string().nullable(),
  measuredAtMs: z.number().nullable(),
  /** What is wrong with it, in words. */
  warnings: z.array(z.string()),
})
export type LinkView = z.infer<typeof linkView>
export const linksResponse = z.object({ links: z.array(linkView) })
export const measureLinksRequest = z.object({ nodes: z.array(nodeName).min(2).max(64).optional() })

/** A pool as it is kept: what the owner asked for. */
export const poolWish = z.object({
  name: z.string(),
  model: z.string(),
  members: z.array(z.string()),
  engine: z.enum(poolEngineIds),
  contextTokens: z.number().nullable(),
  parallel: z.number().nullable(),
  fallback: z.string().nullable(),
  isolatedLinks: z.array(z.string()),
})
