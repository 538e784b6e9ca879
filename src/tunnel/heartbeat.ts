/**
 * Decides when a peer is gone. Both ends ping on their own timer, so each hears something at least every `heartbeatMs`
 * however slow the answers are, and an idle proxy between them sees traffic both ways. Pure: it is told the time by a
 * clock and acts through effects.
 */
import type { Clock } from '../core/clock.ts'
import type { TunnelTiming } from './limits.ts'

export interface HeartbeatEffects {
  ping(): void
  /** Milliseconds for which the oldest message has not been taken by the peer's side; 0 when none waits. */
  writeStalledMs(): number
  dead(sentence: string): void
}

export class Heartbeat {
  private readonly clock: Clock
  private readonly timing: TunnelTiming
  private readonly effects: HeartbeatEffects
  private lastHeard: number
  private dueAt = 0
  private cancel: () => void = () => undefined

  constructor(clock: Clock, timing: TunnelTiming, effects: HeartbeatEffects) {
    this.clock = clock
    this.timing = timing
    this.effects = effects
    this.lastHeard = clock.now()
  }

  start(): void {
    this.lastHeard = this.clock.now()
    this.schedule()
  }

  stop(): void {
    this.cancel()
  }

  /** Something whole arrived: a message, a ping or a pong. A frame that only trickles in is no sign of life. */
  heard(): void {
    this.lastHeard = this.clock.now()
  }

  /** Milliseconds since something whole arrived. */
  get silentMs(): number {
    return Math.max(0, this.clock.now() - this.lastHeard)
  }

  private schedule(): void {
    this.dueAt = this.clock.now() + this.timing.heartbeatMs
    this.cancel = this.clock.after(this.timing.heartbeatMs, () => this.tick())
  }

  private tick(): void {
    const { heartbeatMs, silenceMs, writeStallMs } = this.timing
    const now = this.clock.now()
    // A late timer means that this process slept (a lid closed, a blocked loop), and what the peer sent meanwhile may
    // still wait in the socket: it gets one more beat to be heard. A clock set back must not grant hours.
    const slept = now - this.dueAt > heartbeatMs
    if (slept) this.lastHeard = Math.max(this.lastHeard, now - silenceMs + heartbeatMs)
    this.lastHeard = Math.min(this.lastHeard, now)

    const silentMs = now - this.lastHeard
    const stalledMs = slept ? 0 : this.effects.writeStalledMs()
    if (silentMs >= silenceMs) {
      this.effects.dead(`nothing was heard from it for ${seconds(silentMs)} s`)
    } else if (stalledMs >= writeStallMs) {
      this.effects.dead(`it took nothing of what was sent for ${seconds(stalledMs)} s`)
    } else {
      this.schedule()
      this.effects.ping()
    }
  }
}

const seconds = (ms: number): string => (ms / 1000).toFixed(1)
