/**
 * What happens to requests that wait, for a model to load or for their turn. A stream gets its head and a comment every few
 * seconds, so that neither client nor proxy gives up; any other request is told to come back when a load takes long.
 * One timer serves all: the hot path pays for a seat.
 */
import type { Clock } from '../../core/clock.ts'
import { Roster, type Seat } from '../../core/roster.ts'

export interface Waiter {
  /** Called about twice a second with the milliseconds waited so far. */
  tick(waitedMs: number): void
}

/** A waiter and when it came, milliseconds since the epoch. */
interface Waiting {
  waiter: Waiter
  since: number
}
export type WaitingSeat = Seat<Waiting>

const tickMs = 500

export class WaitingRoom {
  private readonly clock: Clock
  private readonly waiters = new Roster<Waiting>()
  private stopTimer: (() => void) | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  enter(waiter: Waiter): WaitingSeat {
    if (this.stopTimer === null) this.schedule()
    return this.waiters.enter({ waiter, since: this.clock.now() })
  }

  /** Does nothing the second time. */
  leave(seat: WaitingSeat): void {
    this.waiters.leave(seat)
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
      for (const seat of this.waiters.seated()) {
        // One that the tick of another sent away is told no more.
        if (seat.at >= 0) seat.who.waiter.tick(now - seat.who.since)
      }
      if (this.waiters.size > 0) this.schedule()
    })
  }
}
