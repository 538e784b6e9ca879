import type { Home } from '../core/home.ts'
import type { Log } from '../core/log.ts'
import type { AttachedEngine } from '../engines/attached-engine.ts'
import type { MemberFacts, OpenPart, PartSpec, PoolEngineId } from '../protocol/pool.ts'

/**
 * What every distributed engine looks like: to the hub a pure layout, to a member a part that it can look at, open and
 * stop. A folder each under `src/pool/` with the same file names: `index.ts` (the engine), `layout.ts` (hub side, pure),
 * `inspect.ts`, `open.ts` (member side).
 */
export interface PoolEngine {
  readonly id: PoolEngineId
  readonly title: string
  /** False when the engine breaks on two requests at once: the pool then answers one at a time. */
  readonly concurrent: boolean
  /**
   * True when the head can only start once its workers run, as with llama.cpp RPC. Otherwise the parts meet each other
   * while they start, and all are started at once.
   */
  readonly workersFirst?: boolean
  /** Why it cannot run inside the encrypted wire, and so needs a cable that the owner vouches for. One sentence. */
  readonly needsIsolatedLink?: string
  /**
   * Settings of each member's part in order of rank. Pure.
   * @throws HolonError pool_impossible when this engine cannot run this plan, with why and what to do
   */
  layout(plan: PoolPlan): readonly Record<string, unknown>[]
  /** What this machine brings. Starts nothing; never throws for what is merely missing. */
  inspect(host: MemberHost, model: string): Promise<MemberFacts>
  /** Opens this machine's end of the wire. @throws HolonError; nothing is left behind then */
  open(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart>
}

/** A placement of the planner that the owner, or the controller, chose. */
export interface PoolPlan {
  model: string
  strategy: 'pipeline' | 'tensor'
  contextTokens: number
  parallel: number
  /** Head first. */
  members: readonly PlannedMember[]
}

export interface PlannedMember {
  node: string
  /** Layers held here, and the share of the whole they are; the planner's order is the order of layers. */
  layers: number
  share: number
  /** What this member may take, bytes. */
  limitBytes: number
  facts: MemberFacts
}

/** What the agent lends to an engine on its machine. */
export interface MemberHost {
  home: Home
  log: Log
  /** Path, size and shape source of a model on this machine; null when it is not here. */
  findModel(id: string): { path: string; sizeBytes: number } | null
  memory(): { budgetBytes: number; usedBytes: number }
  /** How long nothing may move while an answer is under way, for engines that leave that open (HOLON_POOL_HANG_S). Milliseconds. */
  hangMs?: number
  /** Servers that were already there and that this node offers (HOLON_ENGINE), for engines that are clusters by themselves. */
  attached?(): readonly AttachedEngine[]
  /** Which of them offers a model under the name that this node gives it; null when none does. */
  attachedModel?(id: string): { engine: AttachedEngine; name: string } | null
}
