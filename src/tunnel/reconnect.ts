/**
 * When a node dials again, and when it stops for good. Pure: told what happened, it acts through effects and a clock.
 *
 * | what happened | then |
 * |---|---|
 * | the line broke, the hub is down or refuses for now | again after full jitter: a random time up to a doubling ceiling |
 * | the hub named a time (Retry-After) | not before it, plus jitter, so that 1,000 nodes do not come back in one second |
 * | the credential is unknown | again with a fresh one, twice; then the end |
 * | revoked, or the versions have nothing in common | the end |
 *
 * Full jitter spreads a whole fleet's return best (M. Brooker, "Exponential Backoff And Jitter", AWS, 2015).
 */
import type { Clock } from '../core/clock.ts'
import type { HolonError } from '../core/errors.ts'

export type DialState =
  | { phase: 'connecting'; attempt: number }
  /** `sinceMs`: milliseconds since the epoch. */
  | { phase: 'connected'; sinceMs: number }
  | { phase: 'waiting'; retryAtMs: number; problem: HolonError }
  /** It will not dial again. `problem` is null after `stop()`. */
  | { phase: 'ended'; problem: HolonError | null }

export interface ReconnectEffects {
  /** Begin attempt number `attempt`, counted from 1 since the last steady connection. */
  connect(attempt: number): void
  changed(state: DialState): void
  /** Uniform in [0, 1). */
  random(): number
}

export interface ReconnectPolicy {
  /** Ceiling of the first wait, doubled each time up to `maxMs`. Milliseconds. */
  baseMs: number
  maxMs: number
  /** A connection that held this long was a good one: the doubling starts anew. Milliseconds. */
  steadyMs: number
}

export const defaultReconnectPolicy: ReconnectPolicy = { baseMs: 500, maxMs: 30_000, steadyMs: 30_000 }

/** A credential may be rotated by another process at the very moment; three refusals in a row are no accident. */
const refusalsToEnd = 3

export class Reconnector {
  private readonly clock: Clock
  private readonly effects: ReconnectEffects
  private readonly policy: ReconnectPolicy
  private state: DialState = { phase: 'ended', problem: null }
  private attempts = 0
  private refusals = 0
  private cancel: () => void = () => undefined

  constructor(clock: Clock, effects: ReconnectEffects, policy: ReconnectPolicy = defaultReconnectPolicy) {
    this.clock = clock
    this.effects = effects
    this.policy = policy
  }

  get current(): DialState {
    return this.state
  }

  start(): void {
    if (this.state.phase === 'ended') this.attempt()
  }

  /** The attempt led to a tunnel. */
  connected(): void {
    if (this.state.phase !== 'connecting') return
    this.refusals = 0
    this.become({ phase: 'connected', sinceMs: this.clock.now() })
  }

  /** The attempt failed, or the tunnel ended. */
  lost(problem: HolonError): void {
    if (this.state.phase !== 'connecting' && this.state.phase !== 'connected') return
    this.refusals = problem.code === 'tunnel_refused' ? this.refusals + 1 : 0
    if (this.isFinal(problem)) {
      this.become({ phase: 'ended', problem })
      return
    }
    if (this.state.phase === 'connected' && this.clock.now() - this.state.sinceMs >= this.policy.steadyMs) {
      this.attempts = 0
    }
    const waitMs = this.waitMs(problem)
    this.become({ phase: 'waiting', retryAtMs: this.clock.now() + waitMs, problem })
    this.cancel = this.clock.after(waitMs, () => this.attempt())
  }

  stop(): void {
    this.cancel()
    if (this.state.phase !== 'ended') this.become({ phase: 'ended', problem: null })
  }

  private isFinal(problem: HolonError): boolean {
    if (problem.code === 'tunnel_revoked' || problem.code === 'tunnel_version') return true
    return problem.code === 'tunnel_refused' && this.refusals >= refusalsToEnd
  }

  private waitMs(problem: HolonError): number {
    const { baseMs, maxMs } = this.policy
    // Beyond 2^20 the ceiling is long reached, and 2^1024 would be no number.
    const ceiling = Math.min(maxMs, baseMs * 2 ** Math.min(20, Math.max(0, this.attempts - 1)))
    return Math.round((problem.retryAfterS ?? 0) * 1000 + this.effects.random() * ceiling)
  }

  private attempt(): void {
    this.attempts += 1
    this.become({ phase: 'connecting', attempt: this.attempts })
    this.effects.connect(this.attempts)
  }

  private become(state: DialState): void {
    this.state = state
    this.effects.changed(state)
  }
}
