/** At most one running timer for each purpose: setting one again replaces it. */
import type { Clock } from '../../core/clock.ts'

export class NamedTimers<Name extends string> {
  private readonly clock: Clock
  private readonly running = new Map<Name, () => void>()

  constructor(clock: Clock) {
    this.clock = clock
  }

  set(name: Name, ms: number, fn: () => void): void {
    this.cancel(name)
    const cancel = this.clock.after(ms, () => {
      this.running.delete(name)
      fn()
    })
    this.running.set(name, cancel)
  }

  cancel(name: Name): void {
    this.running.get(name)?.()
    this.running.delete(name)
  }

  cancelAll(): void {
    for (const cancel of this.running.values()) cancel()
    this.running.clear()
  }
}
