import { asHolonError, HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { findRoom, fitPlan, type Holder } from './fit-memory.ts'
import { reservedBytes, type Slot } from './slot.ts'
import type { SlotTable } from './slot-table.ts'

/** Who gets memory, in which order. Models that do not fit yet wait here; a model that waits is not overtaken. */
export class MemoryQueue {
  private readonly table: SlotTable
  private readonly actions: { start: (slot: Slot) => void; stop: (slot: Slot) => void }
  private nextInQueue = 1

  constructor(table: SlotTable, actions: { start: (slot: Slot) => void; stop: (slot: Slot) => void }) {
    this.table = table
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
      this.table.enter(slot, 'waiting')
      this.table.after(slot, this.table.config.memoryWaitMs, () => this.waitedTooLong(slot))
    }
    this.retry()
    if (slot.state === 'waiting') this.table.showPhase(slot, 'waiting for memory')
  }

  /** Starts what fits, first come first served; makes room for the first that does not. */
  retry(): void {
    const queue = this.table.all().filter((slot) => slot.state === 'waiting')
    for (const slot of queue.sort((a, b) => a.queuedAt - b.queuedAt)) {
      const needBytes = slot.plan?.needBytes ?? 0
      const room = findRoom(needBytes, this.table.config.memoryBudgetBytes(), this.holders())
      if (room.kind === 'now') {
        this.actions.start(slot)
        continue
      }
      if (slot.waiting.size === 0) {
        // A restart after a crash that nobody waits for must not push others out.
        this.table.enter(slot, 'absent')
        continue
      }
      if (room.kind === 'soon') {
        for (const model of room.evict) {
          this.table.effects.log(
            'info',
            { model, for: slot.facts.id },
            'unloading an idle model to make room',
          )
          this.actions.stop(this.table.get(model)!)
        }
      }
      return
    }
  }

  private holders(): Holder[] {
    return this.table
      .all()
      .filter((slot) => slot.attempt !== null)
      .map((slot) => ({
        model: slot.facts.id,
        reservedBytes: reservedBytes(slot),
        use:
          slot.state === 'stopping'
            ? 'going'
            : slot.state === 'ready' && slot.leases.size === 0
              ? 'idle'
              : 'busy',
        usedAt: slot.usedAt,
        demo: slot.facts.demo,
      }))
  }

  private waitedTooLong(slot: Slot): void {
    const holding = this.holders().filter((holder) => holder.use === 'busy')
    const need = formatBytes(slot.plan?.needBytes ?? 0)
    const who = holding.map((holder) => `${holder.model} (${formatBytes(holder.reservedBytes)})`).join(', ')
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
