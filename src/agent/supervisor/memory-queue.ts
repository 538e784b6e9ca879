import { asHolonError, HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { findRoom, type Room } from './find-room.ts'
import { fitPlan } from './fit-memory.ts'
import type { Slot } from './slot.ts'
import type { SlotTable } from './slot-table.ts'
import type { Warmth } from './warmth.ts'

interface Actions {
  start(slot: Slot): void
  stop(slot: Slot): void
  /** Grants those who wait for a model that is ready. */
  serve(slot: Slot): void
}

/**
 * Who gets memory, in which order. Models that do not fit yet wait here; a model that waits is not overtaken. One that is
 * blocked by answers without end gets its turn: newcomers of those models wait until it has been served.
 */
export class MemoryQueue {
  private readonly table: SlotTable
  private readonly warmth: Warmth
  private readonly actions: Actions
  private nextInQueue = 1
  private cancelAgain = (): void => undefined

  constructor(table: SlotTable, warmth: Warmth, actions: Actions) {
    this.table = table
    this.warmth = warmth
    this.actions = actions
  }

  admit(slot: Slot): void {
    const budgetBytes = this.table.config.memoryBudgetBytes()
    try {
      slot.plan = fitPlan(slot.facts, slot.wish, this.table.config.defaults, budgetBytes)
    } catch (thrown) {
      this.table.fail(slot, asHolonError(thrown))
      return
    }
    if (slot.state !== 'waiting') {
      slot.queuedAt = this.nextInQueue++
      slot.waitsSince = this.table.clock.now()
      this.table.enter(slot, 'waiting')
      this.table.after(slot, this.table.config.memoryWaitMs, () => this.waitedTooLong(slot))
    }
    this.retry()
    if (slot.state === 'waiting') this.table.showPhase(slot, 'waiting for memory')
  }

  /** Whether `needBytes` are free now, and nobody waits for them. */
  hasRoom(needBytes: number): boolean {
    if (this.table.all().some((slot) => slot.state === 'waiting')) return false
    return this.room(needBytes).kind === 'now'
  }

  /** Starts what fits, first come first served; makes room for the first that does not. */
  retry(): void {
    this.cancelAgain()
    const queue = this.table.all().filter((slot) => slot.state === 'waiting')
    for (const slot of queue.sort((a, b) => a.queuedAt - b.queuedAt)) {
      const room = this.room(slot.plan?.needBytes ?? 0)
      if (room.kind === 'now') {
        this.actions.start(slot)
        continue
      }
      if (slot.waiting.size === 0) {
        // What nobody waits for, a restart after a crash or a load ahead of time, must not push others out.
        this.table.enter(slot, 'absent')
        continue
      }
      this.makeRoom(slot, room)
      return
    }
    this.endTurns()
  }

  private room(needBytes: number): Room {
    const holders = this.table
      .all()
      .filter((slot) => slot.attempt !== null)
      .map((slot) => this.warmth.holder(slot))
    return findRoom(needBytes, this.table.config.memoryBudgetBytes(), holders, this.table.clock.now())
  }

  private makeRoom(slot: Slot, room: Room): void {
    if (room.kind === 'soon') {
      for (const model of room.leave) {
        this.table.effects.log('info', { model, for: slot.facts.id }, 'unloading an idle model to make room')
        const leaving = this.table.get(model)!
        this.warmth.evicted(leaving)
        this.actions.stop(leaving)
      }
    } else if (room.kind === 'later') {
      this.again(room.atMs)
    } else if (room.kind === 'busy') {
      const holders = room.end.map((model) => this.table.get(model)!)
      const turnAt = slot.waitsSince + this.warmth.turnMs(slot, holders)
      if (this.table.clock.now() < turnAt) this.again(turnAt)
      else for (const holder of holders) this.letEnd(holder, slot)
    }
  }

  private letEnd(holder: Slot, slot: Slot): void {
    if (holder.yields || holder.state !== 'ready') return
    holder.yields = true
    const fields = { model: holder.facts.id, for: slot.facts.id }
    this.table.effects.log('info', fields, 'new answers wait until another model has had its turn')
  }

  /** Nobody is blocked any more. */
  private endTurns(): void {
    for (const slot of this.table.all()) {
      if (!slot.yields) continue
      slot.yields = false
      if (slot.state === 'ready' && slot.waiting.size > 0) this.actions.serve(slot)
    }
  }

  private again(atMs: number): void {
    const inMs = Math.max(1, atMs - this.table.clock.now())
    if (Number.isFinite(inMs)) this.cancelAgain = this.table.clock.after(inMs, () => this.retry())
  }

  private waitedTooLong(slot: Slot): void {
    const holding = this.table.all().filter((each) => each.attempt !== null && each.leases.size > 0)
    const need = formatBytes(slot.plan?.needBytes ?? 0)
    const who = holding
      .map((holder) => `${holder.facts.id} (${formatBytes(holder.plan?.needBytes ?? 0)})`)
      .join(', ')
    this.table.refuseWaiting(
      slot,
      new HolonError(
        'overloaded',
        `${slot.facts.id} needs ${need} of memory, which is in use by ${who || 'others'}.`,
        {
          hint: 'Try again when the answers under way have ended.',
          retryAfterS: 10,
        },
      ),
    )
    this.table.enter(slot, 'absent')
    this.retry()
  }
}
