/**
 * Tells who is waiting on an engine that it died. A lease's `died` promise may live as long as the engine does, so
 * hanging a callback on it for every request would grow without end; here each promise gets one, ever.
 */
import type { EngineLease } from '../../protocol/node.ts'

export class DeathWatch {
  /** Why the engine died; null while it lives. */
  reason: string | null = null
  private readonly listeners = new Set<(reason: string) => void>()

  constructor(died: Promise<string>) {
    const tell = (reason: string) => {
      this.reason = reason
      for (const listener of [...this.listeners]) listener(reason)
      this.listeners.clear()
    }
    died.then(tell, (error: unknown) => tell(error instanceof Error ? error.message : String(error)))
  }

  /** Calls back when it dies; returns the way to stop. Never calls back for one that is dead already. */
  onDeath(listener: (reason: string) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
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
