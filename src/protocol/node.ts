import { z } from 'zod'
import type { EngineLease } from './lease.ts'
import { machineProfile } from './machine.ts'
import { type LoadProgress, nodeModel, runningModel } from './model.ts'
import type { PoolMember } from './pool.ts'

export type { AnswerStats, EngineLease } from './lease.ts'

/** Where a node of the fleet stands with its hub; the table is in docs/concepts/fleet.md. */
export const memberPhases = ['joining', 'ready', 'suspect', 'probation', 'gone', 'revoked'] as const

/** What the hub knows of a node behind a tunnel, beside what the node says. */
export const nodeLink = z.object({
  phase: z.enum(memberPhases),
  /** Milliseconds since the epoch. */
  sinceMs: z.number(),
  /** Why it is not ready, when it is not. */
  reason: z.string().nullable(),
  address: z.string().nullable(),
  agentVersion: z.string().nullable(),
  /** Round trip of the latest heartbeat, milliseconds. */
  rttMs: z.number().nullable(),
})
export type NodeLink = z.infer<typeof nodeLink>

export const nodeState = z.object({
  id: z.string(),
  name: z.string(),
  state: z.enum(['ready', 'starting', 'gone']),
  profile: machineProfile.nullable(),
  engines: z.array(z.string()),
  models: z.array(nodeModel),
  running: z.array(runningModel),
  memory: z.object({ budgetBytes: z.number(), usedBytes: z.number() }),
  /** What the machine is for, and where it stands, in its owner's words. */
  role: z.string().nullish(),
  place: z.string().nullish(),
  /** Absent for the hub's own machine. */
  link: nodeLink.optional(),
})
export type NodeState = z.infer<typeof nodeState>

/** How a model is to be loaded; what is left out the node chooses. */
export interface LoadOptions {
  contextTokens?: number
  parallel?: number
  engine?: string
  /** Keep it in memory until it is unloaded: it leaves last, and comes back by itself. */
  keep?: boolean
  /** Into free memory only, or not at all (`overloaded`): nothing leaves for it. */
  ifRoom?: boolean
}

/**
 * A node as the hub sees it. The local agent offers this directly; a remote one through the tunnel.
 * The hub never reads a state and then acts on it: it asks for `acquire`, and the owner makes it so.
 */
export interface NodeHandle {
  readonly id: string
  readonly name: string
  /** The latest snapshot; cheap, no I/O. */
  state(): NodeState
  /** Calls back on every change of state; returns the way to stop. */
  subscribe(listener: () => void): () => void
  /**
   * Loads the model if need be and holds it.
   * @throws HolonError model_not_found, model_load_failed, model_too_big, model_file_invalid, engine_unavailable
   */
  acquire(
    model: string,
    options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<EngineLease>
  load(model: string, options: LoadOptions): Promise<void>
  unload(model: string): Promise<void>
  /** What it does for pools; absent on a node that cannot take part, as a pool itself. */
  readonly pool?: PoolMember
}
