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
 * "admit" computes the settings that fit, then starts at once, asks idle models to leave (those that are missed least
 * first, `warmth.ts`), or waits for answers under way (`memory-queue.ts`). A model that waits is not overtaken. A ready
 * model that yields to one that waits queues its callers too. A caller that gives up leaves the load to the others, and
 * to the next try: a client with a short timeout would otherwise never see it end.
 */
import type { Clock } from '../../core/clock.ts'
import { asHolonError, type HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { AnswerStats } from '../../protocol/node.ts'
import { chooseAhead } from './ahead.ts'
import type { LoadTerms, ModelFacts, Running, SupervisorConfig, SupervisorEffects, Wish } from './effects.ts'
import { fitPlan } from './fit-memory.ts'
import { MemoryQueue } from './memory-queue.ts'
import { Histories } from './model-history.ts'
import { crashedTooOften, noRoom, notRunning, stillAnswering, unloadedMeanwhile } from './refusals.ts'
import { anyWish, countCrash, type Slot, satisfies, yielding } from './slot.ts'
import { SlotTable } from './slot-table.ts'
import { Warmth } from './warmth.ts'

export class Supervisor {
  private readonly table: SlotTable
  private readonly warmth: Warmth
  private readonly queue: MemoryQueue
  private nextAttempt = 1
  private nextLease = 1
  private closing = false

  constructor(
    config: SupervisorConfig,
    effects: SupervisorEffects,
    clock: Clock,
    histories: Histories = new Histories(),
  ) {
    this.table = new SlotTable(config, effects, clock)
    this.warmth = new Warmth(config, clock, histories)
    this.queue = new MemoryQueue(this.table, this.warmth, {
      start: (slot) => this.start(slot),
      stop: (slot) => this.stop(slot),
      serve: (slot) => this.serveWaiting(slot),
    })
  }

  /** Every model that was ever asked for, for those who show it. */
  views(): readonly Readonly<Slot>[] {
    return this.table.all()
  }

  onAcquire(ticket: number, facts: ModelFacts): void {
    if (this.refuseWhenClosing(ticket)) return
    const slot = this.table.ofFacts(facts)
    this.warmth.asked(slot)
    if (slot.state === 'ready' && !slot.yields) {
      this.grant(slot, ticket)
      return
    }
    const fresh = this.table.clock.now() - slot.failedAt < this.table.config.failureHoldMs
    if (slot.state === 'failed' && slot.failure && fresh) {
      this.table.effects.refused(ticket, slot.failure)
      return
    }
    slot.waiting.set(ticket, 'acquire')
    if (slot.yields) this.table.effects.progress(ticket, yielding)
    else if (slot.progress) this.table.effects.progress(ticket, slot.progress)
    if (slot.state === 'absent' || slot.state === 'failed') this.queue.admit(slot)
    else if (slot.state === 'waiting') this.queue.retry()
  }

  onLoad(ticket: number, facts: ModelFacts, wish: Wish, terms: LoadTerms = {}): void {
    if (this.refuseWhenClosing(ticket)) return
    const slot = this.table.ofFacts(facts)
    const same = satisfies(slot, wish)
    if (terms.keep) this.keep(slot)
    if (slot.state === 'ready' && same) {
      this.table.effects.done(ticket)
      return
    }
    const { memoryBudgetBytes, defaults } = this.table.config
    try {
      // What runs is not given up for a wish that cannot be granted.
      const { needBytes } = fitPlan(facts, wish, defaults, memoryBudgetBytes())
      if (terms.ifRoom && slot.attempt === null && !this.queue.hasRoom(needBytes)) throw noRoom(facts.id)
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
    // Also one that was pushed out of memory: kept on, it would come back by itself.
    if (slot?.kept) this.table.effects.changed()
    if (slot) slot.kept = false
    if (!slot || slot.state === 'absent') {
      this.table.effects.done(ticket)
      return
    }
    slot.wish = anyWish
    slot.hung = null
    // What is asked for while it goes is wanted after it; what was being loaded is not.
    const going = slot.state === 'draining' || slot.state === 'stopping' || slot.yields
    this.table.refuseWaiting(slot, unloadedMeanwhile(model), going ? 'load' : undefined)
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

  /** These stay in memory, as far as there is room. */
  onKeep(models: readonly ModelFacts[]): void {
    for (const facts of models) this.keep(this.table.ofFacts(facts))
  }

  /**
   * A quiet moment: brings one model into free memory that is kept, was pushed out while in use, or is due by habit.
   * Nothing leaves for it and nobody waits for it.
   */
  onQuiet(models: readonly ModelFacts[]): void {
    const slots = models.map((facts) => this.table.ofFacts(facts))
    const underWay = this.table.all().some(({ state }) => ['waiting', 'starting', 'backoff'].includes(state))
    if (this.closing || underWay) return
    const slot = chooseAhead(slots, this.warmth, this.table.config, (bytes) => this.queue.hasRoom(bytes))
    if (slot === null) return
    this.table.effects.log('info', { model: slot.facts.id, kept: slot.kept }, 'loading ahead of time')
    this.queue.admit(slot)
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
    if (stats) this.warmth.histories.of(slot.facts.id).answered(stats)
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
    slot.progress = this.warmth.withEta(slot, progress)
    for (const ticket of slot.waiting.keys()) this.table.effects.progress(ticket, slot.progress)
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
    this.warmth.ready(slot)
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
    slot.startedAt = this.table.clock.now()
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
    slot.yields = false
    this.table.enter(slot, 'draining')
    this.table.after(slot, this.table.config.drainMs, () => this.drainedTooLong(slot))
  }

  /** An unload is carried out at last; a reload is refused, and the model goes on serving as it is. */
  private drainedTooLong(slot: Slot): void {
    if (slot.unloads.size > 0) {
      this.stop(slot)
      return
    }
    this.table.refuseWaiting(slot, stillAnswering(slot.facts.id), 'load')
    this.table.enter(slot, 'ready')
    this.watchHealth(slot)
    this.serveWaiting(slot)
  }

  private stop(slot: Slot): void {
    slot.yields = false
    this.table.enter(slot, 'stopping')
    this.table.effects.stop(slot.attempt!)
  }

  private crashed(slot: Slot, reason: string): void {
    const pauseMs = countCrash(slot, this.table.config, this.table.clock.now())
    const { id } = slot.facts
    this.clearProcess(slot)
    this.endUnloads(slot)
    this.table.effects.log('warn', { model: id, crashes: slot.crashes, pauseMs }, `engine crashed: ${reason}`)
    if (slot.waiting.size === 0 && slot.crashes > this.table.config.maxIdleRestarts) {
      this.table.fail(slot, crashedTooOften(id, slot.crashes, reason))
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
    slot.yields = false
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
    const idleMs = this.warmth.idleMs(slot)
    if (idleMs === null) return
    this.table.after(slot, idleMs, () => {
      this.table.effects.log('info', { model: slot.facts.id }, 'unloading an idle model')
      slot.leftIdleAt = this.table.clock.now()
      this.stop(slot)
    })
  }

  private keep(slot: Slot): void {
    if (slot.kept) return
    slot.kept = true
    if (slot.state === 'ready' && slot.leases.size === 0) slot.cancelTimer()
    this.table.effects.changed()
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
