/** What comes of looking at one placement: a group that can be launched, or what stands against it. */
import { HolonError } from '../../core/errors.ts'
import type { LoadTime, Placement } from '../../planner/index.ts'
import type { PreviewPlacement } from '../../protocol/pools.ts'
import type { PoolEngine, PoolPlan } from '../pool-engine.ts'
import type { Candidate } from './member.ts'
import type { PairLink } from './question.ts'

/** What is expected of a placement: by the planner, or as far as a cluster tells. */
export type Expectation = Pick<
  Placement,
  'strategy' | 'machines' | 'layers' | 'memory' | 'decodeTokS' | 'prefillTokS' | 'ttftS' | 'because'
> & { basis: PreviewPlacement['basis'] }

/** A group that can be launched, with what is expected of it. */
export interface GroupPlacement {
  engine: PoolEngine
  /** Head first, as in the plan. */
  members: readonly Candidate[]
  plan: PoolPlan
  /** Settings of each part, by the engine's own layout. */
  settings: readonly Record<string, unknown>[]
  placement: Expectation
  link: PairLink | null
  load: LoadTime
  /** Where it is not the usual way. */
  loadHow?: string
  modelSource: string
}

export interface Obstacle {
  error: HolonError
  /** The member to blame, when the others may do without it. */
  member: string | null
}

export type Placed = { group: GroupPlacement } | { obstacle: Obstacle }

/** @param hint what to do; the catalogue's when left out, none when empty */
export function impossible(message: string, hint?: string, member: string | null = null): Placed {
  const details = hint === undefined ? {} : { hint }
  return { obstacle: { error: new HolonError('pool_impossible', message, details), member } }
}

/** The placement that answers fastest; the first obstacle when there is none. */
export function fastest(tried: readonly Placed[]): Placed {
  const good = tried.filter((one) => 'group' in one)
  if (good.length === 0) return tried[0] ?? impossible('No split is possible.')
  return good.reduce((best, one) =>
    one.group.placement.decodeTokS.expected > best.group.placement.decodeTokS.expected ? one : best,
  )
}
