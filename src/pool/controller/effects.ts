/** What the pool controller is told, what it may do, and the words both use. No I/O anywhere in this folder. */
import type { HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { PoolEngineId } from '../../protocol/pool.ts'

/** What the owner asked for. Kept by the hub until it is removed. */
export interface PoolWish {
  name: string
  model: string
  /** Ids of the members, in the owner's order. */
  members: readonly string[]
  engine: PoolEngineId
  /** Tokens of context and answers at once; null leaves the choice to Holon. */
  contextTokens: number | null
  parallel: number | null
  /** Answers while the pool cannot. */
  fallback: string | null
  /** Interfaces whose cable the owner vouches for, as `NODE:INTERFACE`: the engine itself listens there. */
  isolatedLinks: readonly string[]
}

/** A group that can be launched. */
export interface GroupPlan {
  /** Ids in order of rank, head first. */
  members: readonly string[]
  /** True when the engine's parts meet each other while starting, so that all are started at once. */
  together: boolean
}

/** What came of looking at members. */
export type Checked =
  | { kind: 'group'; plan: GroupPlan }
  /** One member alone can serve it with its own engine. */
  | { kind: 'solo'; node: string }
  /** `member` when that one is to blame, so that the others may do. */
  | { kind: 'refused'; error: HolonError; member: string | null }

/** What the controller acts through. Calls return at once; their outcome comes back as an event. */
export interface PoolEffects {
  /** Look at these members and plan; nothing is started. Answered by `onChecked`, once. */
  check(pool: string, attempt: number, members: readonly string[]): void
  /** Open one member's part. Answered by `onOpened` or `onPartFailed`, once. */
  open(pool: string, attempt: number, rank: number): void
  /** Start an open part; all are open. Answered by `onStarted` or `onPartFailed`, once. */
  start(pool: string, attempt: number, rank: number): void
  /** End a part, whatever it is doing, also when it is only being opened. Answered by `onStopped`, once. */
  stop(pool: string, attempt: number, rank: number): void
  /** The members were looked at and will do: the wish may be kept. */
  accepted(ticket: number): void
  /** The wish was refused, and nothing is left of it. */
  refused(ticket: number, error: HolonError): void
  /** The pool is gone, with all its parts. */
  removed(ticket: number): void
  /** Something that people or requests see has changed. */
  changed(pool: string): void
  /** How people call a member; reasons are read by them. */
  nameOf(node: string): string
  log(level: 'info' | 'warn', fields: object, message: string): void
}

export interface PoolPolicy {
  /** The longest that members may take to be looked at, to open, and to be silent while they load. Milliseconds. */
  checkMs: number
  openMs: number
  startSilenceMs: number
  /** A group that has not confirmed its end by then counts as ended: its streams are closed. */
  stopMs: number
  /** How long answers under way may finish before a group ends that need not. */
  drainMs: number
  /** Pause before the second launch in a row; doubles up to the cap; anew after `stableMs` of service. */
  backoffMs: number
  backoffMaxMs: number
  stableMs: number
  /** A member that failed must have been there this long to be counted again; doubles with each failure, to the cap. */
  settleMs: number
  settleMaxMs: number
  /** So many failures of one member within the window, and it is left out until the owner or a long time says otherwise. */
  maxFailures: number
  failureWindowMs: number
  leaveOutMs: number
  /** A group of fewer members that serves is not given up for a larger one before this. */
  growAfterMs: number
}

export const defaultPoolPolicy: PoolPolicy = {
  checkMs: 30_000,
  openMs: 60_000,
  startSilenceMs: 5 * 60_000,
  stopMs: 20_000,
  drainMs: 60_000,
  backoffMs: 1_000,
  backoffMaxMs: 60_000,
  stableMs: 60_000,
  settleMs: 5_000,
  settleMaxMs: 10 * 60_000,
  maxFailures: 4,
  failureWindowMs: 30 * 60_000,
  leaveOutMs: 6 * 3_600_000,
  growAfterMs: 30_000,
}

export type PoolPhase = 'resting' | 'checking' | 'opening' | 'starting' | 'ready' | 'draining' | 'stopping'

/** Where a member stands with a pool. */
export interface MemberStanding {
  node: string
  state: 'in' | 'here' | 'away' | 'settling' | 'unfit' | 'left-out'
  /** Why it is not in, in one sentence. */
  why: string | null
  /** When it is counted again, milliseconds since the epoch; null when no time decides that. */
  untilMs: number | null
  failures: number
}

/** A pool as people and requests see it. */
export interface PoolStanding {
  wish: PoolWish
  phase: PoolPhase
  /** Who answers now. `none` leaves it to the declared fallback. */
  service: 'group' | 'solo' | 'none'
  /** The group that serves or is being launched. */
  attempt: number | null
  solo: string | null
  /** Ids in order of rank, of the group that serves or is being launched. */
  ranks: readonly string[]
  members: readonly MemberStanding[]
  /** Why it does not serve, or not as wished; null when all is well. */
  reason: string | null
  progress: LoadProgress | null
  readySinceMs: number | null
  nextTryMs: number | null
}
