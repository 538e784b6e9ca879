/**
 * What streams and whole answers have in common on their way from the engine to the client: undici's callbacks, abort
 * on disconnect, the engine's death, and an error response collected instead of relayed. No streams API on this path:
 * bytes go from one socket to the other with pause and resume.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Dispatcher } from 'undici'
import { asHolonError, type HolonError } from '../../core/errors.ts'
import type { Seat } from '../../core/roster.ts'
import type { DeathWatch, Mourner } from './death-watch.ts'
import { fromConnection, notBegun, type Refusal, wentSilent } from './engine-error.ts'
import { clientStallMs, type Exchange } from './exchange.ts'
import type { AnswerUsage } from './usage-scan.ts'
import type { Waiter, WaitingRoom, WaitingSeat } from './waiting-room.ts'

/** How long an engine may be silent. undici's own timers are off: they are made anew twice for every request. */
export interface EngineTimeouts {
  /** Until its response head: for a whole answer that is all of its decoding. Milliseconds. */
  headersMs: number
  /** Between two pieces of an answer. Milliseconds. */
  idleMs: number
}

/** What all relays of a gateway share. */
export interface RelayPatience {
  room: WaitingRoom
  timeouts: EngineTimeouts
}

export type Outcome =
  | { kind: 'done' }
  | { kind: 'gone' }
  /** The engine answered with an error status; nothing was sent to the client yet, but perhaps a stream's head. */
  | { kind: 'refused'; refusal: Refusal }
  /** It broke. `sent` tells whether the client has part of the answer already, so that trying again is out. */
  | { kind: 'broken'; error: HolonError; sent: boolean }

/** Filled by a relay: what the books need. Times are monotonic milliseconds. */
export interface Measured {
  sentAt: number
  firstAt: number | null
  lastAt: number | null
  usage: AnswerUsage | null
  /** Events of a stream that carried content, for engines that tell no usage. */
  events: number
}

/** An error body beyond this is cut; it is only read for its message. */
const maxErrorBytes = 64 * 1024
/** How long to wait for the reason when a connection breaks: the process's exit is told a moment after. */
const deathGraceMs = 250

export abstract class Relay implements Dispatcher.DispatchHandler, Waiter, Mourner {
  readonly measured: Measured
  protected readonly exchange: Exchange
  private readonly death: DeathWatch
  private readonly patience: RelayPatience
  private readonly settle: (outcome: Outcome) => void
  private begun = false
  /** When the engine was last heard of, monotonic milliseconds. */
  private heardAt: number
  private controller: Dispatcher.DispatchController | null = null
  private refusal: Refusal | null = null
  private refusalChunks: Buffer[] = []
  private refusalBytes = 0
  private settled = false
  private readonly seat: WaitingSeat
  private readonly watch: Seat<Mourner>
  /** Set while a broken connection waits for its reason. */
  private mourning: { error: Error; timer: NodeJS.Timeout } | null = null
  private stallTimer: NodeJS.Timeout | null = null

  constructor(
    exchange: Exchange,
    death: DeathWatch,
    patience: RelayPatience,
    settle: (outcome: Outcome) => void,
  ) {
    this.exchange = exchange
    this.death = death
    this.patience = patience
    this.settle = settle
    this.heardAt = performance.now()
    this.measured = { sentAt: this.heardAt, firstAt: null, lastAt: null, usage: null, events: 0 }
    this.seat = patience.room.enter(this)
    this.watch = death.enter(this)
    exchange.onGone(() => this.leave())
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    if (this.settled) controller.abort(new Error('no longer wanted'))
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return
    this.begun = true
    this.heardAt = performance.now()
    if (status === 200) {
      this.onAnswerStart(headers)
      return
    }
    this.refusal = { status, body: Buffer.alloc(0), retryAfter: headers['retry-after'] }
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.heardAt = performance.now()
    if (this.refusal === null) {
      this.onAnswerData(chunk)
      return
    }
    this.refusalBytes += chunk.length
    if (this.refusalBytes <= maxErrorBytes) this.refusalChunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.refusal === null) {
      this.onAnswerEnd()
      return
    }
    this.refusal.body = Buffer.concat(this.refusalChunks)
    this.finish({ kind: 'refused', refusal: this.refusal })
  }

  onResponseError(_: Dispatcher.DispatchController | null, error: Error): void {
    if (this.settled) return
    if (this.death.reason !== null) {
      this.broken(error)
      return
    }
    const timer = setTimeout(() => this.broken(error), deathGraceMs)
    this.mourning = { error, timer }
  }

  onDeath(reason: string): void {
    if (this.mourning !== null) this.broken(this.mourning.error)
    // Its socket usually closes by itself; a tunnelled one may not.
    else setImmediate(() => this.broken(new Error(reason)))
  }

  /** Called about twice a second. While the client holds us up, the engine's silence is not its fault. */
  tick(): void {
    const { headersMs, idleMs } = this.patience.timeouts
    if (this.stallTimer !== null) this.heardAt = performance.now()
    const silentMs = performance.now() - this.heardAt
    if (!this.begun && silentMs > headersMs) this.spoil(notBegun())
    else if (this.begun && silentMs > idleMs) this.spoil(wentSilent())
  }

  protected abstract onAnswerStart(headers: IncomingHttpHeaders): void
  protected abstract onAnswerData(chunk: Buffer): void
  protected abstract onAnswerEnd(): void
  /** True when the client holds a part of the answer. */
  protected abstract sent(): boolean

  /** Sends bytes to the client; stops reading from the engine while the client does not take them. */
  protected pass(chunk: Buffer): void {
    const { exchange } = this
    const { res } = exchange
    let taken: boolean
    try {
      taken = exchange.write(chunk)
    } catch (thrown) {
      this.spoil(asHolonError(thrown))
      return
    }
    if (taken || this.stallTimer !== null) return
    const controller = this.controller
    controller?.pause()
    this.stallTimer = setTimeout(() => res.destroy(), clientStallMs)
    res.once('drain', () => {
      if (this.stallTimer !== null) clearTimeout(this.stallTimer)
      this.stallTimer = null
      if (!this.settled) controller?.resume()
    })
  }

  /** True once the outcome is told. */
  protected get over(): boolean {
    return this.settled
  }

  /** The answer cannot be gone on with, for a reason found in its content. */
  protected spoil(error: HolonError): void {
    this.finish({ kind: 'broken', error, sent: this.sent() })
    this.controller?.abort(error)
  }

  protected finish(outcome: Outcome): void {
    if (this.settled) return
    this.settled = true
    this.patience.room.leave(this.seat)
    this.death.leave(this.watch)
    if (this.mourning !== null) clearTimeout(this.mourning.timer)
    this.exchange.onGone(null)
    if (this.stallTimer !== null) clearTimeout(this.stallTimer)
    this.settle(outcome)
  }

  private broken(error: Error): void {
    if (this.settled) return
    this.finish({ kind: 'broken', error: fromConnection(error, this.death.reason), sent: this.sent() })
    this.controller?.abort(error)
  }

  private leave(): void {
    this.finish({ kind: 'gone' })
    this.controller?.abort(new Error('the client left'))
  }
}
