import { z } from 'zod'
import { nodeModel, runningModel } from './model.ts'
import { nodeState } from './node.ts'

/** Bodies of the management API under /fleet/v1. */
export const nodesResponse = z.object({ nodes: z.array(nodeState) })
export const modelsResponse = z.object({ models: z.array(nodeModel) })
export const psResponse = z.object({ models: z.array(runningModel) })

export const loadRequest = z.object({
  model: z.string().min(1),
  contextTokens: z.number().int().min(64).max(16_777_216).optional(),
  parallel: z.number().int().min(1).max(256).optional(),
  engine: z.string().optional(),
  /** Keep it in memory until it is unloaded. */
  keep: z.boolean().optional(),
  /** Answer only when the model is ready (default), or at once. */
  wait: z.boolean().default(true),
})
export const unloadRequest = z.object({ model: z.string().min(1) })

/** `state` is `ready` when the load was waited for. */
export const loadResponse = z.object({
  model: z.string(),
  node: z.string(),
  state: z.enum(['loading', 'ready']),
})
export const unloadResponse = z.object({
  model: z.string(),
  nodes: z.array(z.string()),
  /** False when it had been pushed out and was only kept, to come back: it is kept no longer. */
  wasInMemory: z.boolean(),
})

export type LoadResponse = z.infer<typeof loadResponse>
export type UnloadResponse = z.infer<typeof unloadResponse>

export const statusResponse = z.object({
  version: z.string(),
  pid: z.number().int(),
  startedAt: z.number(),
  url: z.string(),
  /** Set while only the demonstration model is there: what to pull instead, for this machine. */
  advice: z.string().nullable(),
})
export type StatusResponse = z.infer<typeof statusResponse>

export const usageRow = z.object({
  model: z.string(),
  requests: z.number().int(),
  promptTokens: z.number().int(),
  completionTokens: z.number().int(),
  errors: z.number().int(),
})
export const usageResponse = z.object({ usage: z.array(usageRow) })

/** What happened to the fleet, newest first. */
export const historyResponse = z.object({
  events: z.array(
    z.object({
      /** Milliseconds since the epoch. */
      time: z.number(),
      /** `hub.started`, `hub.stopped`, `node.ready`, `node.gone`, `model.ready`, `model.restarting`, `model.failed`, `model.unloaded`. */
      type: z.string(),
      data: z.record(z.string(), z.unknown()),
    }),
  ),
})

/** Events on GET /fleet/v1/events (SSE, `event:` is the type, `data:` the JSON). */
export const fleetEvent = z.discriminatedUnion('type', [
  /** Something about nodes, models or running engines changed: the whole small picture. */
  z.object({ type: z.literal('nodes'), nodes: z.array(nodeState) }),
  /** An answer ended. */
  z.object({
    type: z.literal('answer'),
    requestId: z.string(),
    model: z.string(),
    node: z.string(),
    status: z.number().int(),
    promptTokens: z.number().int(),
    completionTokens: z.number().int(),
    ttftS: z.number().nullable(),
    decodeTokS: z.number().nullable(),
  }),
])
export type FleetEvent = z.infer<typeof fleetEvent>
