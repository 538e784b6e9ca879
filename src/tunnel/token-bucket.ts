/** Allows `burst` events at once and `perSecond` after that. Time comes from outside, in milliseconds. */
export class TokenBucket {
  private tokens: number
  private at: number | null = null
  private readonly burst: number
  private readonly perSecond: number

  constructor(burst: number, perSecond: number) {
    this.burst = burst
    this.perSecond = perSecond
    this.tokens = burst
  }

  /** Takes one token if there is one. */
  take(nowMs: number): boolean {
    this.refill(nowMs)
    if (this.tokens < 1) return false
    this.tokens -= 1
    return true
  }

  /** Seconds until the next token. */
  waitS(nowMs: number): number {
    this.refill(nowMs)
    return this.tokens >= 1 ? 0 : (1 - this.tokens) / this.perSecond
  }

  /** True when it holds all it can: forgetting it changes nothing. */
  isFull(nowMs: number): boolean {
    this.refill(nowMs)
    return this.tokens >= this.burst
  }

  private refill(nowMs: number): void {
    // A clock set back must not freeze the bucket, nor fill it.
    const elapsedMs = this.at === null ? 0 : Math.max(0, nowMs - this.at)
    this.at = nowMs
    this.tokens = Math.min(this.burst, this.tokens + (elapsedMs / 1000) * this.perSecond)
  }
}
