/** Time as a value that can be replaced, so that no test sleeps. */
export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number
  /** Calls `fn` after `ms` milliseconds; the returned function cancels it. */
  after(ms: number, fn: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  after(ms, fn) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
}

/** A clock that moves only when told to. Timers fire in order of their time, then of their creation. */
export class FakeClock implements Clock {
  private time: number
  private nextId = 0
  private timers: { id: number; at: number; fn: () => void }[] = []

  constructor(startMs = 0) {
    this.time = startMs
  }

  now(): number {
    return this.time
  }

  after(ms: number, fn: () => void): () => void {
    const id = this.nextId++
    this.timers.push({ id, at: this.time + ms, fn })
    return () => {
      this.timers = this.timers.filter((timer) => timer.id !== id)
    }
  }

  /** Moves time forward by `ms`, firing what falls due on the way, including timers set by timers. */
  advance(ms: number): void {
    const end = this.time + ms
    for (;;) {
      const due = this.timers.filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at || a.id - b.id)[0]
      if (!due) break
      this.timers = this.timers.filter((timer) => timer.id !== due.id)
      this.time = due.at
      due.fn()
    }
    this.time = end
  }
}
