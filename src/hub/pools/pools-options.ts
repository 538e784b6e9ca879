/** What the pools of a hub work with. */
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Pace } from '../../planner/index.ts'
import type { PoolPolicy, PoolWish } from '../../pool/controller/effects.ts'
import type { PoolEngine } from '../../pool/pool-engine.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { LinkBook } from '../links/link-book.ts'
import type { Fleet } from '../registry/fleet.ts'

export interface PoolKeeper {
  all(): Promise<PoolWish[]>
  add(wish: PoolWish, nowMs: number): Promise<void>
  remove(name: string): Promise<void>
}

export interface PoolsOptions {
  fleet: Fleet
  catalogue: Pick<Catalogue, 'find' | 'leaveToPools'>
  links: LinkBook
  book: PoolKeeper
  engines: readonly PoolEngine[]
  clock: Clock
  log: Log
  /** How quick a node's answers showed it to be, of a model by the node's id for it; null before the first. */
  paceOf(nodeId: string, modelId: string): Pace | null
  onEvent(type: string, data: Record<string, unknown>): void
  policy?: Partial<PoolPolicy>
}
