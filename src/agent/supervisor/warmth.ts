/**
 * What is worth its memory. A model that is asked for often stays longer and leaves later than one that was asked for
 * last; two that are asked for in turn do not push each other out at every request; and what its owner keeps comes back.
 * Pure: the supervisor tells what happened and asks.
 */
import type { Clock } from '../../core/clock.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { SupervisorConfig } from './effects.ts'
import type { Holder } from './find-room.ts'
import type { Histories } from './model-history.ts'
import { reservedBytes, type Slot } from './slot.ts'

/** Brought back within this many times its load: it was pushed out by the one that it pushes out now. */
const backWithinLoads = 20
const backWithinLeastMs = 2 * 60_000
/** It then stays this many times its load, so that loading takes at most a fifth of the time. */
const staysLoads = 4
const staysLeastMs = 2_000
const staysMostMs = 60_000
/** Unasked for so long, it leaves all the same: waiting longer than a load takes would cost more than it saves. */
const unaskedLeastMs = 1_000
const unaskedMostMs = 15_000
/** How long a model that answers without a pause keeps one waiting that has no room. */
const turnLeastMs = 5_000
const turnMostMs = 20_000
/** A model stays through this many of its usual gaps, and no longer than this many times the usual idle time. */
const gapsKept = 3
const longestIdleTimes = 12
/** Probability of a request within the hour, by habit, from which a model is loaded before it is asked for. */
const worthLoading = 0.5
const lookAheadMs = 10 * 60_000
/** After a failed load, or after it left for want of use, it is not brought back unasked for so long. */
const letBeMs = 60 * 60_000

export class Warmth {
  private readonly config: SupervisorConfig
  private readonly clock: Clock
  readonly histories: Histories

  constructor(config: SupervisorConfig, clock: Clock, histories: Histories) {
    this.config = config
    this.clock = clock
    this.histories = histories
  }

  /** It came up. Those who waited for it are being served. */
  ready(slot: Slot): void {
    const now = this.clock.now()
    const tookMs = now - slot.startedAt
    this.histories.of(slot.facts.id).loaded(tookMs)
    const soon = Math.max(backWithinLeastMs, backWithinLoads * tookMs)
    const back = slot.evictedAt !== null && now - slot.evictedAt < soon
    slot.staysUntil =
      back && !slot.stayedInVain ? now + clamp(staysLoads * tookMs, staysLeastMs, staysMostMs) : 0
    slot.askedAgain = 0
  }

  /** Where an engine does not say how long a load takes, the loads before do. */
  withEta(slot: Slot, progress: LoadProgress): LoadProgress {
    const { loadS } = this.histories.of(slot.facts.id)
    if (progress.etaS !== null || loadS === null) return progress
    const leftS = loadS - (this.clock.now() - slot.startedAt) / 1000
    return leftS <= 0 ? progress : { ...progress, etaS: leftS }
  }

  /** It is asked to leave for another. */
  evicted(slot: Slot): void {
    slot.evictedAt = this.clock.now()
    // Whoever asks A, B, A, B one after the other gains nothing from waiting between.
    slot.stayedInVain = slot.askedAgain === 0
  }

  /** Idle time after which it leaves; null for never. Milliseconds. */
  idleMs(slot: Slot): number | null {
    const { idleUnloadMs } = this.config
    if (idleUnloadMs <= 0 || slot.facts.demo || slot.kept) return null
    const gapMs = this.histories.of(slot.facts.id).usualGapMs(this.clock.now())
    return gapMs === null
      ? idleUnloadMs
      : clamp(gapsKept * gapMs, idleUnloadMs, longestIdleTimes * idleUnloadMs)
  }

  holder(slot: Slot): Holder {
    const now = this.clock.now()
    const history = this.histories.of(slot.facts.id)
    const unaskedMs = clamp(this.loadMs(slot), unaskedLeastMs, unaskedMostMs)
    return {
      model: slot.facts.id,
      reservedBytes: reservedBytes(slot),
      use: useOf(slot),
      rank: slot.kept ? 2 : slot.facts.demo ? 1 : 0,
      cost: history.recentUses(now) * Math.max(1, history.loadS ?? 1),
      usedAt: slot.usedAt,
      staysUntil: slot.yields ? 0 : Math.min(slot.staysUntil, slot.usedAt + unaskedMs),
    }
  }

  /** How long `slot` waits before those that answer without a pause are let end for it. */
  turnMs(slot: Slot, holders: readonly Slot[]): number {
    const loads = [slot, ...holders].reduce((sum, each) => sum + this.loadMs(each), 0)
    return clamp(staysLoads * loads, turnLeastMs, turnMostMs)
  }

  /** Whether it should be in memory though nobody asks: kept by its owner, pushed out while in use, or due by habit. */
  wanted(slot: Slot): boolean {
    const now = this.clock.now()
    if (slot.state === 'failed' && now - slot.failedAt < letBeMs) return false
    if (slot.kept) return true
    if (slot.leftIdleAt !== null && now - slot.leftIdleAt < letBeMs) return false
    if (slot.evictedAt !== null && slot.evictedAt >= slot.usedAt) {
      const idleMs = this.idleMs(slot)
      return idleMs !== null && now - slot.usedAt < idleMs
    }
    return this.histories.of(slot.facts.id).habit(now + lookAheadMs) >= worthLoading
  }

  /** The order in which models are brought back. */
  urgency(slot: Slot): number {
    if (slot.kept) return Number.POSITIVE_INFINITY
    const now = this.clock.now()
    const history = this.histories.of(slot.facts.id)
    return history.habit(now + lookAheadMs) + history.recentUses(now)
  }

  private loadMs(slot: Slot): number {
    return (this.histories.of(slot.facts.id).loadS ?? 1) * 1000
  }
}

function useOf(slot: Slot): Holder['use'] {
  if (slot.state === 'stopping') return 'going'
  if (slot.state === 'ready') return slot.leases.size === 0 ? 'idle' : 'busy'
  return slot.state === 'draining' ? 'busy' : 'starting'
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
