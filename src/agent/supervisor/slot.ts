import type { HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { ModelFacts, Plan, Running, SupervisorConfig, Wish } from './effects.ts'

export type SlotState =
  | 'absent'
  | 'waiting'
  | 'starting'
  | 'ready'
  | 'draining'
  | 'stopping'
  | 'backoff'
  | 'failed'

/** All the supervisor knows about one model. */
export interface Slot {
  facts: ModelFacts
  state: SlotState
  wish: Wish
  plan: Plan | null
  /** The start that is under way or running; null when there is no process. */
  attempt: number | null
  running: Running | null
  /** The engine that is being tried or running. */
  engine: string | null
  leases: Set<number>
  /** Callers that wait for it to be ready. */
  waiting: Map<number, 'acquire' | 'load'>
  /** Callers that wait for it to be gone. */
  unloads: Set<number>
  /** Why a process is being ended that nobody wanted to end: it counts as a crash when it is gone. */
  hung: string | null
  crashes: number
  failedChecks: number
  readyAt: number
  usedAt: number
  /** Order of waiting for memory. */
  queuedAt: number
  failure: HolonError | null
  failedAt: number
  progress: LoadProgress | null
  residentBytes: number | null
  decodeTokS: number | null
  prefillTokS: number | null
  /** Its owner wants it in memory: it leaves last, and comes back by itself. */
  kept: boolean
  startedAt: number
  /** Since when it waits for memory. */
  waitsSince: number
  /** When it was last asked to leave for another, and when it last left for want of use. */
  evictedAt: number | null
  leftIdleAt: number | null
  /** It was brought back a moment ago, and does not leave for another before this. */
  staysUntil: number
  /** Requests since it came up, beside those that had waited for it. */
  askedAgain: number
  /** When it last had to leave, nobody had asked for it again. */
  stayedInVain: boolean
  /** It ends its answers for another model; whoever asks for it now waits. */
  yields: boolean
  cancelTimer: () => void
  cancelHealth: () => void
}

export const anyWish: Wish = { contextTokens: null, parallel: null, engine: null }

export function newSlot(facts: ModelFacts): Slot {
  return {
    facts,
    state: 'absent',
    wish: anyWish,
    plan: null,
    attempt: null,
    running: null,
    engine: null,
    leases: new Set(),
    waiting: new Map(),
    unloads: new Set(),
    hung: null,
    crashes: 0,
    failedChecks: 0,
    readyAt: 0,
    usedAt: 0,
    queuedAt: 0,
    failure: null,
    failedAt: 0,
    progress: null,
    residentBytes: null,
    decodeTokS: null,
    prefillTokS: null,
    kept: false,
    startedAt: 0,
    waitsSince: 0,
    evictedAt: null,
    leftIdleAt: null,
    staysUntil: 0,
    askedAgain: 0,
    stayedInVain: false,
    yields: false,
    cancelTimer: () => undefined,
    cancelHealth: () => undefined,
  }
}

/** Whether what is loaded, or being loaded, is what `wish` asks for. */
export function satisfies(slot: Slot, wish: Wish): boolean {
  const { plan, running } = slot
  if (!plan) return false
  const engine = running?.engine ?? plan.engine
  return (
    (wish.contextTokens === null ||
      wish.contextTokens === plan.contextTokens ||
      wish.contextTokens === running?.contextTokens) &&
    (wish.parallel === null || wish.parallel === plan.parallel || wish.parallel === running?.parallel) &&
    (wish.engine === null || wish.engine === engine)
  )
}

/** Memory is set aside from the moment of the start until the process is gone. */
export function reservedBytes(slot: Slot): number {
  return slot.attempt === null ? 0 : (slot.plan?.needBytes ?? 0)
}

/** What callers of a model that yields are told. */
export const yielding: LoadProgress = {
  phase: 'waiting: another model has its turn in memory',
  percent: null,
  etaS: null,
}

/** One crash more in a row, unless it ran well before. @returns how long to wait before the restart, milliseconds */
export function countCrash(slot: Slot, config: SupervisorConfig, nowMs: number): number {
  const stable = nowMs - slot.readyAt >= config.stableMs
  slot.crashes = stable ? 1 : slot.crashes + 1
  return Math.min(config.backoffMs * 2 ** (slot.crashes - 1), config.backoffMaxMs)
}
