/**
 * Decides which models are in memory. Pure: it is told what happened, and acts through `SupervisorEffects`; tests
 * drive it synchronously with a recorder and a fake clock. Nobody reads a state and then acts on it: callers ask for
 * `onAcquire` and the supervisor makes it so.
 *
 * | state    | acquire          | load, other settings | unload          | moves on by                                   |
 * |----------|------------------|----------------------|-----------------|-----------------------------------------------|
 * | absent   | admit            | admit                | done            |                                               |
 * | waiting  | queue            | admit anew           | refuse, absent  | memory freed: starting; time up: refuse       |
 * | starting | queue            | stopping, then anew  | refuse,stopping | started: ready; failed: failed                |
 * | ready    | grant            | draining, then anew  | draining        | idle too long: stopping; exit: backoff        |
 * | draining | queue            | queue                | stop when empty | last release, or time up: stopping            |
 * | stopping | queue            | queue                | done when gone  | exit: admit if anyone waits, else absent      |
 * | backoff  | queue            | admit                | refuse, absent  | timer: admit                                  |
 * | failed   | refuse for 5 s,  | admit                | absent          |                                               |
 * |          | then admit       |                      |                 |                                               |
 *
 * "admit" computes the settings that fit, then starts at once, asks idle models to leave (least recently used
 * first), or waits for answers under way. A model that waits is not overtaken. A caller that gives up leaves the
 * load to the others, and to the next try: a client with a short timeout would otherwise never see it end.
 */
import type { Clock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { AnswerStats } from '../../protocol/node.ts'
import type { ModelFacts, Running, SupervisorConfig, SupervisorEffects, Wish } from './effects.ts'
import { fitPlan } from './fit-memory.ts'
import { MemoryQueue } from './memory-queue.ts'
import { anyWish, type Slot, satisfies } from './slot.ts'
import { notRunning, SlotTable } from './slot-table.ts'

export class Supervisor {
  private readonly table: SlotTable
  private readonly queue: MemoryQueue
  private nextAttempt = 1
  private nextLease = 1
  private closing = false

  constructor(config: SupervisorConfig, effects: SupervisorEffects, clock: Clock) {
    this.table = new SlotTable(config, effects, clock)
    this.queue = new MemoryQueue(this.table, {
      start: (slot) => this.start(slot),
      stop: (slot) => this.stop(slot),
    })
  }

  /** Every model that was ever asked for, for those who show it. */
  views(): readonly Readonly<Slot>[] {
    return this.table.all()
  }

  onAcquire(ticket: number, facts: ModelFacts): void {
    if (this.refuseWhenClosing(ticket)) return
    const slot = this.table.ofFacts(facts)
    if (slot.state === 'ready') {
      this.grant(slot, ticket)
      return
    }
    const fresh = this.table.clock.now() - slot.failedAt < this.table.config.failureHoldMs
    if (slot.state === 'failed' && slot.failure && fresh) {
      this.table.effects.refused(ticket, slot.failure)
      return
    }
    slot.waiting.set(ticket, 'acquire')
    if (slot.progress) this.table.effects.progress(ticket, slot.progress)
    if (slot.state === 'absent' || slot.state === 'failed') this.queue.admit(slot)
  }

  onLoad(ticket: number, facts: ModelFacts, wish: Wish): void {
    if (this.refuseWhenClosing(ticket)) return
    const slot = this.table.ofFacts(facts)
    const same = satisfies(slot, wish)
    if (slot.state === 'ready' && same) {
      this.table.effects.done(ticket)
      return
    }
    const { memoryBudgetBytes, defaults } = this.table.config
    try {
      // What runs is not given up for a wish that cannot be granted.
      fitPlan(facts, wish, defaults, memoryBudgetBytes())
    } catch (thrown) {
      this.table.effects.refused(ticket, asHolonError(thrown))
      return
    }
    slot.wish = wish
    slot.waiting.set(ticket, 'load')
    if (slot.state === 'ready') this.drain(slot)
    else if (slot.state === 'starting' && !same) this.abandon(slot)
    else if (['absent', 'waiting', 'backoff', 'failed'].includes(slot.state)) this.queue.admit(slot)
  }

  onUnload(ticket: number, model: string): void {
    const slot = this.table.get(model)
    if (!slot || slot.state === 'absent') {
      this.table.effects.done(ticket)
      return
    }
    slot.wish = anyWish
    slot.hung = null
    // What is asked for while it goes is wanted after it; what was being loaded is not.
    const going = slot.state === 'draining' || slot.state === 'stopping'
    const error = new HolonError('model_load_failed', `${model} was unloaded while it was being loaded.`)
    this.table.refuseWaiting(slot, error, going ? 'load' : undefined)
    if (slot.attempt === null) {
      this.table.enter(slot, 'absent')
      this.table.effects.done(ticket)
      this.queue.retry()
      return
    }
    slot.unloads.add(ticket)
    if (slot.state === 'ready' || slot.state === 'draining') this.drain(slot)
    else if (slot.state === 'starting') this.abandon(slot)
  }

  /** The caller of `ticket` no longer wants it. */
  onGiveUp(ticket: number): void {
    for (const slot of this.table.all()) {
      slot.unloads.delete(ticket)
      if (!slot.waiting.delete(ticket)) continue
      if (slot.state === 'waiting' && slot.waiting.size === 0) {
        this.table.enter(slot, 'absent')
        this.queue.retry()
      }
    }
  }

  onRelease(lease: number, stats?: AnswerStats): void {
    const slot = this.table.all().find((candidate) => candidate.leases.delete(lease))
    if (!slot) return
    slot.usedAt = this.table.clock.now()
    slot.decodeTokS = stats?.decodeTokS ?? slot.decodeTokS
    slot.prefillTokS = stats?.prefillTokS ?? slot.prefillTokS
    this.table.effects.changed()
    if (slot.leases.size > 0) return
    if (slot.state === 'draining') this.stop(slot)
    else if (slot.state === 'ready') {
      this.watchIdle(slot)
      this.queue.retry()
    }
  }

  /** `engine` is the one that is being tried. */
  onProgress(attempt: number, engine: string, progress: LoadProgress): void {
    const slot = this.table.ofAttempt(attempt)
    if (slot?.state !== 'starting') return
    slot.engine = engine
    slot.progress = progress
    for (const ticket of slot.waiting.keys()) this.table.effects.progress(ticket, progress)
    this.table.effects.changed()
  }

  onStarted(attempt: number, running: Running): void {
    const slot = this.table.ofAttempt(attempt)
    if (!slot) return
    slot.running = running
    slot.engine = running.engine
    if (slot.state !== 'starting') {
      // Given up meanwhile; the engine came up all the same.
      this.table.effects.stop(attempt)
      return
    }
    slot.readyAt = this.table.clock.now()
    slot.failure = null
    slot.failedChecks = 0
    this.table.enter(slot, 'ready')
    this.table.effects.log('info', { model: slot.facts.id, ...running }, 'model ready')
    this.watchHealth(slot)
    this.serveWaiting(slot)
  }

  onStartFailed(attempt: number, error: HolonError): void {
    const slot = this.table.ofAttempt(attempt)
    if (!slot) return
    if (slot.state === 'starting') {
      slot.attempt = null
      // Settings that failed must not stand in the way of the next caller, who never asked for them.
      slot.wish = anyWish
      this.table.fail(slot, error)
    } else {
      this.settleGone(slot)
    }
    this.queue.retry()
  }

  /** The process of `attempt` is gone, wanted or not. */
  onExited(attempt: number, reason: string): void {
    const slot = this.table.ofAttempt(attempt)
    if (!slot) return
    const unwanted = slot.hung ?? (slot.state === 'ready' ? reason : null)
    const sentence = unwanted ?? (slot.unloads.size > 0 ? `${slot.facts.id} was unloaded.` : reason)
    for (const lease of slot.leases) this.table.effects.died(lease, sentence)
    if (unwanted !== null && !this.closing) this.crashed(slot, unwanted)
    else this.settleGone(slot)
    this.queue.retry()
  }

  onHealth(attempt: number, healthy: boolean): void {
    const slot = this.table.ofAttempt(attempt)
    if (slot?.state !== 'ready') return
    slot.failedChecks = healthy ? 0 : slot.failedChecks + 1
    if (slot.failedChecks < this.table.config.healthFailures) {
      this.watchHealth(slot)
      return
    }
    slot.hung = 'The engine stopped answering and was ended.'
    this.stop(slot)
  }

  onMemory(attempt: number, residentBytes: number | null): void {
    const slot = this.table.ofAttempt(attempt)
    if (!slot || slot.residentBytes === residentBytes) return
    slot.residentBytes = residentBytes
    this.table.effects.changed()
  }

  /** Ends everything. Processes report their end as always. */
  onClose(): void {
    this.closing = true
    for (const slot of this.table.all()) {
      this.table.refuseWaiting(slot, notRunning())
      if (slot.attempt === null) this.table.enter(slot, 'absent')
      else if (slot.state === 'starting') this.abandon(slot)
      else if (slot.state !== 'stopping') this.stop(slot)
    }
  }

  private start(slot: Slot): void {
    slot.attempt = this.nextAttempt++
    slot.hung = null
    slot.running = null
    slot.engine = slot.plan?.engine ?? null
    this.table.enter(slot, 'starting', 'starting')
    this.table.effects.start(slot.attempt, slot.facts.id, slot.plan!)
  }

  private abandon(slot: Slot): void {
    this.table.enter(slot, 'stopping')
    this.table.effects.abandon(slot.attempt!)
  }

  private drain(slot: Slot): void {
    if (slot.leases.size === 0) {
      this.stop(slot)
      return
    }
    if (slot.state === 'draining') return
    this.table.enter(slot, 'draining')
    this.table.after(slot, this.table.config.drainMs, () => this.drainedTooLong(slot))
  }

  /** An unload is carried out at last; a reload is refused, and the model goes on serving as it is. */
  private drainedTooLong(slot: Slot): void {
    if (slot.unloads.size > 0) {
      this.stop(slot)
      return
    }
    const busy = `${slot.facts.id} is still answering; it was not reloaded.`
    this.table.refuseWaiting(
      slot,
      new HolonError('overloaded', busy, { hint: 'Try again when it is idle.' }),
      'load',
    )
    this.table.enter(slot, 'ready')
    this.watchHealth(slot)
    this.serveWaiting(slot)
  }

  private stop(slot: Slot): void {
    this.table.enter(slot, 'stopping')
    this.table.effects.stop(slot.attempt!)
  }

  private crashed(slot: Slot, reason: string): void {
    const stable = this.table.clock.now() - slot.readyAt >= this.table.config.stableMs
    slot.crashes = stable ? 1 : slot.crashes + 1
    const pauseMs = Math.min(
      this.table.config.backoffMs * 2 ** (slot.crashes - 1),
      this.table.config.backoffMaxMs,
    )
    const { id } = slot.facts
    this.clearProcess(slot)
    this.endUnloads(slot)
    this.table.effects.log('warn', { model: id, crashes: slot.crashes, pauseMs }, `engine crashed: ${reason}`)
    if (slot.waiting.size === 0 && slot.crashes > this.table.config.maxIdleRestarts) {
      const text = `${id} crashed ${slot.crashes} times in a row: ${reason}`
      this.table.fail(
        slot,
        new HolonError('engine_crashed', text, { source: 'engine', hint: 'The engine log says more.' }),
      )
      return
    }
    this.table.enter(slot, 'backoff', 'restarting after a crash')
    this.table.after(slot, pauseMs, () => this.queue.admit(slot))
  }

  /** The process is gone as it should be. */
  private settleGone(slot: Slot): void {
    this.clearProcess(slot)
    this.endUnloads(slot)
    this.table.enter(slot, 'absent')
    if (slot.waiting.size > 0 && !this.closing) this.queue.admit(slot)
  }

  private clearProcess(slot: Slot): void {
    slot.attempt = null
    slot.running = null
    slot.hung = null
    slot.residentBytes = null
    slot.leases.clear()
  }

  private endUnloads(slot: Slot): void {
    for (const ticket of slot.unloads) this.table.effects.done(ticket)
    slot.unloads.clear()
  }

  private serveWaiting(slot: Slot): void {
    const waiting = [...slot.waiting]
    slot.waiting.clear()
    for (const [ticket, kind] of waiting) {
      if (kind === 'acquire') this.grant(slot, ticket)
      else this.table.effects.done(ticket)
    }
    if (slot.leases.size === 0) {
      slot.usedAt = this.table.clock.now()
      this.watchIdle(slot)
      this.queue.retry()
    }
  }

  private grant(slot: Slot, ticket: number): void {
    const lease = this.nextLease++
    slot.leases.add(lease)
    slot.usedAt = this.table.clock.now()
    slot.cancelTimer()
    this.table.effects.granted(ticket, lease, slot.attempt!)
    this.table.effects.changed()
  }

  private watchIdle(slot: Slot): void {
    if (this.table.config.idleUnloadMs <= 0 || slot.facts.demo) return
    this.table.after(slot, this.table.config.idleUnloadMs, () => {
      this.table.effects.log('info', { model: slot.facts.id }, 'unloading an idle model')
      this.stop(slot)
    })
  }

  private watchHealth(slot: Slot): void {
    const { attempt } = slot
    slot.cancelHealth = this.table.clock.after(this.table.config.healthEveryMs, () => {
      if (slot.attempt === attempt && attempt !== null) this.table.effects.checkHealth(attempt)
    })
  }

  private refuseWhenClosing(ticket: number): boolean {
    if (this.closing) this.table.effects.refused(ticket, notRunning())
    return this.closing
  }
}
