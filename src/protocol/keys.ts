/** Bodies of /fleet/v1/keys and /fleet/v1/queue. */
import { z } from 'zod'
import { laneName, lanes } from './lane.ts'

const limit = z.number().int().min(1).max(1e15).nullable()

/** Null is no limit. Tokens are those read and those generated. Days and months are UTC. */
export const keyLimits = z.object({
  requestsPerMinute: limit.default(null),
  tokensPerMinute: limit.default(null),
  tokensPerDay: limit.default(null),
  tokensPerMonth: limit.default(null),
  /** Answers under way at once, waiting ones included. */
  concurrency: limit.default(null),
})
export type KeyLimits = z.infer<typeof keyLimits>
export const noLimits: KeyLimits = keyLimits.parse({})

/** Printable and on one line: it stands in tables, logs and errors. */
const label = z
  .string()
  .trim()
  .min(1)
  .max(60)
  .regex(/^[^\p{C}]+$/u, 'must be printable')

export const createKeyRequest = z.object({
  label,
  /** Names or patterns with `*`; null is every model that is offered. */
  models: z.array(z.string().trim().min(1).max(300)).min(1).max(100).nullable().default(null),
  lanes: z
    .array(laneName)
    .min(1)
    .default(() => [...lanes]),
  /** Whether the management API is open to it. */
  admin: z.boolean().default(false),
  /** Seconds from now, by the hub's clock; null never. */
  expiresInS: z.number().int().min(60).max(3_153_600_000).nullable().default(null),
  limits: keyLimits.default(noLimits),
})

const keyState = z.enum(['active', 'expired', 'revoked'])

/** A key without its secret, which nobody can show again. Times are ISO 8601. */
export const keyInfo = z.object({
  id: z.string(),
  label: z.string(),
  /** The beginning of the secret, to tell keys apart. */
  hint: z.string(),
  state: keyState,
  models: z.array(z.string()).nullable(),
  lanes: z.array(laneName),
  admin: z.boolean(),
  limits: keyLimits,
  createdAt: z.string(),
  createdBy: z.string(),
  expiresAt: z.string().nullable(),
  revokedAt: z.string().nullable(),
  revokedBy: z.string().nullable(),
  /** Tokens of this day and month (UTC), and answers under way at this hub. */
  tokensToday: z.number(),
  tokensThisMonth: z.number(),
  underWay: z.number(),
})
export type KeyInfo = z.infer<typeof keyInfo>

/** `key` is told this once. `warnings` are sentences for whoever made it. */
export const createKeyResponse = z.object({ key: z.string(), info: keyInfo, warnings: z.array(z.string()) })
export type CreateKeyResponse = z.infer<typeof createKeyResponse>
export const keysResponse = z.object({ keys: z.array(keyInfo) })
/** By id or label. */
export const keyRequest = z.object({ key: z.string().min(1).max(200) })
/** `ended`: answers under way that were cut at this hub. */
export const revokeKeyResponse = z.object({ info: keyInfo, ended: z.number() })
export type RevokeKeyResponse = z.infer<typeof revokeKeyResponse>

const keyUsageRow = z.object({
  /** Null for what the owner did, and for the time before there were keys. */
  keyId: z.string().nullable(),
  label: z.string().nullable(),
  requests: z.number().int(),
  promptTokens: z.number().int(),
  completionTokens: z.number().int(),
  errors: z.number().int(),
  /** ISO 8601; null when never. */
  lastUsedAt: z.string().nullable(),
})
export const keyUsageResponse = z.object({ usage: z.array(keyUsageRow) })
export type KeyUsageResponse = z.infer<typeof keyUsageResponse>

export const keyAuditResponse = z.object({
  entries: z.array(
    z.object({
      timeMs: z.number(),
      action: z.string(),
      key: z.string().nullable(),
      actor: z.string(),
      detail: z.string(),
    }),
  ),
})

export type KeyAuditResponse = z.infer<typeof keyAuditResponse>

/** One line per model on a node that somebody waits for or is answered by. */
export const queueResponse = z.object({
  lines: z.array(
    z.object({
      node: z.string(),
      model: z.string(),
      parallel: z.number(),
      inFlight: z.number(),
      waiting: z.number(),
      serviceS: z.number().nullable(),
      etaS: z.number().nullable(),
      parts: z.array(
        z.object({ caller: z.string(), lane: laneName, inFlight: z.number(), waiting: z.number() }),
      ),
    }),
  ),
})
export type QueueResponse = z.infer<typeof queueResponse>
