/**
 * A key that expires ends its answers as one that is revoked does. One timer for all keys, set for the earliest to expire;
 * one per answer would be as many as there are answers. Pure but for the clock.
 */
import type { Clock } from '../../core/clock.ts'
import type { Key } from './keyring.ts'

/** A clock that was set forward, or a machine that slept, must not keep a key open for long; and timers end at 24 days. */
const longestMs = 60_000

export class ExpiryWatch {
  private readonly keys: () => readonly Key[]
  private readonly clock: Clock
  private cancel = (): void => undefined

  constructor(keys: () => readonly Key[], clock: Clock) {
    this.keys = keys
    this.clock = clock
  }

  /** Keys came or changed, or the earliest of them expires now. */
  look(): void {
    this.cancel()
    let nextMs = Number.POSITIVE_INFINITY
    for (const key of this.keys()) {
      const { expiresMs, revokedMs } = key.record
      if (expiresMs === null || revokedMs !== null) continue
      const problem = key.problem()
      if (problem === null) nextMs = Math.min(nextMs, expiresMs)
      else key.endAll(problem)
    }
    if (nextMs === Number.POSITIVE_INFINITY) return
    this.cancel = this.clock.after(Math.min(nextMs - this.clock.now(), longestMs), () => this.look())
  }

  close(): void {
    this.cancel()
  }
}
