import type { HolonError } from '../core/errors.ts'
import type { LoadProgress } from '../protocol/model.ts'

/** A caller that waits for the supervisor's answer. Exactly one of the three ends it. */
export interface Waiting {
  granted?: (lease: number, attempt: number) => void
  done?: () => void
  refused: (error: HolonError) => void
  progress?: (progress: LoadProgress) => void
}

/** Who waits for what: the supervisor speaks of numbers, callers hold promises. */
export class Tickets {
  private readonly waiting = new Map<number, Waiting>()
  private next = 1

  open(waiting: Waiting): number {
    const ticket = this.next++
    this.waiting.set(ticket, waiting)
    return ticket
  }

  /** The ticket's holder, who is waiting no longer; undefined when it gave up. */
  take(ticket: number): Waiting | undefined {
    const waiting = this.waiting.get(ticket)
    this.waiting.delete(ticket)
    return waiting
  }

  progress(ticket: number, progress: LoadProgress): void {
    this.waiting.get(ticket)?.progress?.(progress)
  }
}
