/**
 * What happens to requests that wait, for a model to load or for their turn. A stream gets its head and a comment every few
 * seconds, so that neither client nor proxy gives up; any other request is told to come back when a load takes long.
 * One timer serves all: the hot path pays two set operations.
 */
import type { Clock } from '../../core/clock.ts'

export interface Waiter {
  /** Called about twice a second with the milliseconds waited so far. */
  tick(waitedMs: number): void
}

const tickMs = 500

export class WaitingRoom {
  private readonly clock: Clock
  private readonly waiters = new Map<Waiter, number>()
  private stopTimer: (() => void) | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  enter(waiter: Waiter): void {
    this.waiters.set(waiter, this.clock.now())
    if (this.stopTimer === null) this.schedule()
  }

  leave(waiter: Waiter): void {
    this.waiters.delete(waiter)
  }

  close(): void {
    this.stopTimer?.()
    this.stopTimer = null
    this.waiters.clear()
  }

  private schedule(): void {
    this.stopTimer = this.clock.after(tickMs, () => {
      this.stopTimer = null
      const now = this.clock.now()
      for (const [waiter, since] of this.waiters) waiter.tick(now - since)
      if (this.waiters.size > 0) this.schedule()
    })
  }
}
