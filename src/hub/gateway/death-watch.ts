/**
 * Tells who is waiting on an engine that it died. A lease's `died` promise may live as long as the engine does, so
 * hanging a callback on it for every request would grow without end; here each promise gets one, ever.
 */

import { Roster, type Seat } from '../../core/roster.ts'
import type { EngineLease } from '../../protocol/node.ts'

/** Somebody whose work ends with an engine. */
export interface Mourner {
  onDeath(reason: string): void
}

export class DeathWatch {
  /** Why the engine died; null while it lives. */
  reason: string | null = null
  private readonly mourners = new Roster<Mourner>()

  constructor(died: Promise<string>) {
    const tell = (reason: string) => {
      this.reason = reason
      for (const seat of this.mourners.seated()) {
        if (seat.at >= 0) seat.who.onDeath(reason)
      }
      this.mourners.clear()
    }
    died.then(tell, (error: unknown) => tell(error instanceof Error ? error.message : String(error)))
  }

  /** Tells when it dies, once, until `leave`. Never tells of one that is dead already. */
  enter(mourner: Mourner): Seat<Mourner> {
    return this.mourners.enter(mourner)
  }

  leave(seat: Seat<Mourner>): void {
    this.mourners.leave(seat)
  }
}

const watches = new WeakMap<Promise<string>, DeathWatch>()

export function watchDeath(lease: EngineLease): DeathWatch {
  let watch = watches.get(lease.died)
  if (!watch) {
    watch = new DeathWatch(lease.died)
    watches.set(lease.died, watch)
  }
  return watch
}
