/**
 * Holds datagrams for a set time and passes them on in the order in which they came. With it a cable of any length can be
 * laid between two machines where the kernel has no netem: the frames travel as datagrams through this, in user space.
 */

export interface Clock {
  /** Milliseconds. */
  now(): number
  /** Runs `then` after about `ms`; 0 is as soon as the loop has looked for new datagrams. */
  after(ms: number, then: () => void): void
}

/** Timers are whole milliseconds and late; the rest of the wait is spent looking. */
const timerSlackMs = 1.5

export class HeldDatagrams {
  private readonly holdMs: number
  private readonly clock: Clock
  private readonly most: number
  private readonly held: { due: number; send: () => void }[] = []
  private waiting = false
  /** Datagrams that found no place, as in a switch whose queue is full. */
  dropped = 0

  constructor(options: { holdMs: number; clock: Clock; most?: number }) {
    this.holdMs = options.holdMs
    this.clock = options.clock
    this.most = options.most ?? 20_000
  }

  take(send: () => void): void {
    if (this.held.length >= this.most) {
      this.dropped += 1
      return
    }
    this.held.push({ due: this.clock.now() + this.holdMs, send })
    this.wait()
  }

  private wait(): void {
    const [first] = this.held
    if (this.waiting || !first) return
    this.waiting = true
    const left = first.due - this.clock.now()
    this.clock.after(left > timerSlackMs ? left - timerSlackMs : 0, () => {
      this.waiting = false
      this.passOn()
      this.wait()
    })
  }

  private passOn(): void {
    const now = this.clock.now()
    let count = 0
    while (count < this.held.length && this.held[count]!.due <= now) count += 1
    for (const { send } of this.held.splice(0, count)) send()
  }
}
