/**
 * Finds stop strings in text that arrives in pieces, and never lets a part of one out: a tail that may still
 * become a stop string waits until it is decided.
 */
export class StopScanner {
  private readonly stops: readonly string[]
  private held = ''
  /** The stop string that was met; null until then. */
  met: string | null = null

  constructor(stops: readonly string[]) {
    this.stops = stops.filter((stop) => stop.length > 0)
  }

  /** Text that is now certain, and whether a stop string ended it. */
  push(text: string): { text: string; stopped: boolean } {
    if (this.stops.length === 0) return { text, stopped: false }
    this.held += text
    let first = -1
    for (const stop of this.stops) {
      const at = this.held.indexOf(stop)
      if (at < 0 || (first >= 0 && at >= first)) continue
      first = at
      this.met = stop
    }
    if (first >= 0) {
      const before = this.held.slice(0, first)
      this.held = ''
      return { text: before, stopped: true }
    }
    const keep = Math.max(...this.stops.map((stop) => partialTail(this.held, stop)))
    const certain = this.held.slice(0, this.held.length - keep)
    this.held = this.held.slice(this.held.length - keep)
    return { text: certain, stopped: false }
  }

  /** The answer ended: what was held back is text after all. */
  flush(): string {
    const rest = this.held
    this.held = ''
    return rest
  }
}

/** Length of the longest end of `text` that is a proper start of `stop`. */
export function partialTail(text: string, stop: string): number {
  for (let length = Math.min(text.length, stop.length - 1); length > 0; length--) {
    if (stop.startsWith(text.slice(text.length - length))) return length
  }
  return 0
}
