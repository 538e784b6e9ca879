import type { Clock } from '../../core/clock.ts'
import type { HolonError } from '../../core/errors.ts'
import type { ModelFacts, SupervisorConfig, SupervisorEffects } from './effects.ts'
import { newSlot, type Slot, type SlotState } from './slot.ts'

/** The slots, and the few moves that every part of the supervisor makes with them. */
export class SlotTable {
  readonly config: SupervisorConfig
  readonly effects: SupervisorEffects
  readonly clock: Clock
  private readonly slots = new Map<string, Slot>()

  constructor(config: SupervisorConfig, effects: SupervisorEffects, clock: Clock) {
    this.config = config
    this.effects = effects
    this.clock = clock
  }

  all(): Slot[] {
    return [...this.slots.values()]
  }

  get(model: string): Slot | undefined {
    return this.slots.get(model)
  }

  ofFacts(facts: ModelFacts): Slot {
    const slot = this.slots.get(facts.id) ?? newSlot(facts)
    slot.facts = facts
    this.slots.set(facts.id, slot)
    return slot
  }

  ofAttempt(attempt: number): Slot | undefined {
    return this.all().find((slot) => slot.attempt === attempt)
  }

  /** `phase` tells people what is going on in a state that is neither ready nor absent. */
  enter(slot: Slot, state: SlotState, phase: string | null = null): void {
    slot.cancelTimer()
    if (state !== 'ready') slot.cancelHealth()
    slot.progress = null
    slot.state = state
    if (phase === null) this.effects.changed()
    else this.showPhase(slot, phase)
  }

  /** Tells people, and those who wait, what is going on. */
  showPhase(slot: Slot, phase: string): void {
    slot.progress = { phase, percent: null, etaS: null }
    for (const ticket of slot.waiting.keys()) this.effects.progress(ticket, slot.progress)
    this.effects.changed()
  }

  /** One timer per model; entering another state cancels it. */
  after(slot: Slot, ms: number, then: () => void): void {
    slot.cancelTimer()
    slot.cancelTimer = this.clock.after(ms, then)
  }

  /** The load failed for good: remembered for a moment, so that a crowd of callers does not try it one by one. */
  fail(slot: Slot, error: HolonError): void {
    slot.failure = error
    slot.failedAt = this.clock.now()
    this.enter(slot, 'failed')
    this.effects.log('warn', { model: slot.facts.id, code: error.code }, `load failed: ${error.message}`)
    this.refuseWaiting(slot, error)
  }

  refuseWaiting(slot: Slot, error: HolonError, kind?: 'acquire' | 'load'): void {
    for (const [ticket, what] of [...slot.waiting]) {
      if (kind !== undefined && what !== kind) continue
      slot.waiting.delete(ticket)
      this.effects.refused(ticket, error)
    }
  }
}
