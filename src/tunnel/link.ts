/**
 * One live WebSocket of a tunnel, the same on both ends: its bytes, its heartbeats, and its one end. Whatever ends it
 * (a close frame, silence, a broken rule, our own wish), `onEnd` is told once and at once, with an error fit for every
 * request that was on the way. Waiting for the WebSocket's own 'close' instead left 50 streams open in a soak.
 */
import type { WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import { type ErrorCode, HolonError } from '../core/errors.ts'
import type { FrameGuard } from './frame-guard.ts'
import { FrameWalk, frameTypes, prefaceBytes } from './frame-walk.ts'
import { Heartbeat } from './heartbeat.ts'
import type { TunnelTiming } from './limits.ts'
import { TokenBucket } from './token-bucket.ts'
import { WebSocketDuplex } from './websocket-duplex.ts'
import { closeCodes } from './wire.ts'

export interface LinkEnd {
  code: number
  /** Who ended it. */
  by: 'us' | 'peer'
  /** For every request on the way, and for the log. */
  error: HolonError
}

export interface LinkOptions {
  ws: WebSocket
  /** How to speak of the peer: `node m3` or `the hub`. */
  peer: string
  clock: Clock
  timing: TunnelTiming
  /** On the hub, which does not trust its peer and is the HTTP/2 client; absent on the node. */
  guard?: FrameGuard
  onEnd(end: LinkEnd): void
}

/** How long a close frame may take to be answered before the socket is cut. Milliseconds. */
const closeGraceMs = 1_000

export class TunnelLink {
  readonly duplex: WebSocketDuplex
  bytesIn = 0
  /** Of the latest heartbeat, in milliseconds; null before the first answer. */
  rttMs: number | null = null
  private readonly ws: WebSocket
  private readonly options: LinkOptions
  private readonly heartbeat: Heartbeat
  /** Peers ping every few seconds; a flood of pings would make us write as many pongs. */
  private readonly pingBudget: TokenBucket
  private readonly pongBudget: TokenBucket
  private pingSentAt = 0
  private end: LinkEnd | null = null

  constructor(options: LinkOptions) {
    const { ws, guard, clock, timing } = options
    this.options = options
    this.ws = ws
    const perSecond = Math.max(8, 4_000 / timing.heartbeatMs)
    this.pingBudget = new TokenBucket(64, perSecond)
    this.pongBudget = new TokenBucket(64, perSecond)
    // After most connection errors nghttp2 says GOAWAY and then ignores all input, and Node tells nobody: a peer that
    // ignores the GOAWAY would keep every request waiting for ever. So our own GOAWAY is the end.
    const outgoing = new FrameWalk(
      (type) => {
        if (type === frameTypes.goaway) setImmediate(() => this.misbehaved('it broke HTTP/2'))
      },
      guard ? prefaceBytes : 0,
    )
    this.duplex = new WebSocketDuplex(ws, {
      leaving: (bytes) => outgoing.feed(bytes),
      arrived: (bytes) => {
        this.bytesIn += bytes.length
        this.heartbeat.heard()
        const fault = guard?.feed(bytes, performance.now()) ?? null
        if (fault !== null) this.misbehaved(fault)
      },
      text: () => this.misbehaved('it sent text where only binary messages belong', closeCodes.notBinary),
    })
    this.heartbeat = new Heartbeat(clock, timing, {
      ping: () => this.beat(),
      writeStalledMs: () => this.duplex.writeStalledMs,
      dead: (sentence) => this.finish('us', closeCodes.silent, 'tunnel_lost', sentence),
    })
    this.listen()
    this.heartbeat.start()
  }

  get ended(): LinkEnd | null {
    return this.end
  }

  /** Bytes handed to the socket that it has not sent yet. */
  get bufferedBytes(): number {
    return this.ws.bufferedAmount
  }

  /** Milliseconds since the peer gave a sign of life. */
  get silentMs(): number {
    return this.heartbeat.silentMs
  }

  /** Ends it by our own wish. */
  close(code: number, reason: string, error: ErrorCode = 'tunnel_lost'): void {
    this.finish('us', code, error, reason)
  }

  /** The peer broke a rule: ended at once, and the peer is told why. */
  misbehaved(sentence: string, code: number = closeCodes.misbehaved): void {
    this.finish('us', code, 'tunnel_misbehaved', sentence)
  }

  /** Asks for a sign of life and resolves with whether one came within `ms`. */
  probe(ms: number): Promise<boolean> {
    if (this.end !== null) return Promise.resolve(false)
    return new Promise((resolve) => {
      const settle = (alive: boolean) => {
        cancel()
        this.ws.off('pong', heard).off('close', gone)
        resolve(alive)
      }
      const heard = () => settle(true)
      const gone = () => settle(false)
      const cancel = this.options.clock.after(ms, gone)
      this.ws.on('pong', heard).on('close', gone)
      this.beat()
    })
  }

  private listen(): void {
    this.ws.on('ping', (data) => this.answerPing(data))
    this.ws.on('pong', () => this.takePong())
    this.ws.on('error', (error: Error & { code?: string }) => {
      // ws closes by itself after its own protocol errors, with the right code; only the reason is ours to keep.
      const broke = error.code?.startsWith('WS_ERR_') === true
      if (broke)
        this.misbehaved(`it broke the WebSocket protocol (${error.message})`, closeCodeFor(error.code))
      else
        this.finish(
          'us',
          closeCodes.silent,
          'tunnel_lost',
          `the connection broke (${error.code ?? error.message})`,
        )
    })
    this.ws.on('close', (code, reason) => {
      const said = reason.length > 0 ? printable(reason.toString()) : plainReason(code)
      this.finish('peer', code, errorFor(code), said)
    })
    this.duplex.on('error', (error) =>
      this.close(closeCodes.goingAway, `the stream broke (${error.message})`),
    )
    // HTTP/2 ends its socket before it says why; its own error or close comes in the same tick and knows better.
    this.duplex.on('close', () => setImmediate(() => this.close(closeCodes.goingAway, 'it was closed')))
  }

  private answerPing(data: Buffer): void {
    this.heartbeat.heard()
    if (!this.pingBudget.take(performance.now())) {
      this.misbehaved('it floods the tunnel with pings')
      return
    }
    // A peer that pings but reads nothing must not make pongs pile up here.
    if (this.ws.bufferedAmount < 64 * 1024) this.ws.pong(data, undefined, ignoreError)
  }

  private takePong(): void {
    this.heartbeat.heard()
    if (!this.pongBudget.take(performance.now())) {
      this.misbehaved('it floods the tunnel with pongs')
      return
    }
    if (this.pingSentAt > 0) this.rttMs = performance.now() - this.pingSentAt
    this.pingSentAt = 0
  }

  private beat(): void {
    const { guard, timing } = this.options
    const now = performance.now()
    if (guard && this.ws.isPaused) guard.excuse(now)
    if (guard && guard.partialMs(now) > timing.silenceMs) {
      this.misbehaved('it began an HTTP/2 frame and never finished it')
      return
    }
    this.pingSentAt = now
    this.ws.ping(undefined, undefined, ignoreError)
  }

  private finish(by: 'us' | 'peer', code: number, errorCode: ErrorCode, reason: string): void {
    if (this.end !== null) return
    const error = new HolonError(errorCode, `The connection to ${this.options.peer} ended: ${reason}.`)
    this.end = { code, by, error }
    this.heartbeat.stop()
    this.hangUp(code, reason)
    this.options.onEnd(this.end)
    this.duplex.destroy()
  }

  private hangUp(code: number, reason: string): void {
    if (this.ws.readyState === this.ws.CLOSED) return
    // A paused socket would never see the answer to the close frame.
    this.ws.resume()
    if (this.ws.readyState === this.ws.OPEN) this.ws.close(code, Buffer.from(reason).subarray(0, 120))
    const timer = setTimeout(() => this.ws.terminate(), closeGraceMs)
    this.ws.once('close', () => clearTimeout(timer))
  }
}

const ignoreError = (): void => undefined

const closeCodeFor = (code: string | undefined): number =>
  code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' ? closeCodes.tooBig : closeCodes.misbehaved

function errorFor(code: number): ErrorCode {
  if (code === closeCodes.revoked) return 'tunnel_revoked'
  if (code === closeCodes.version) return 'tunnel_version'
  if (code === closeCodes.identityInUse) return 'tunnel_identity_in_use'
  if (code === closeCodes.misbehaved) return 'tunnel_misbehaved'
  return 'tunnel_lost'
}

function plainReason(code: number): string {
  if (code === 1006) return 'the line was cut'
  if (code === closeCodes.goingAway || code === 1000 || code === 1005) return 'the other side stopped'
  return `the other side closed it (${code})`
}

/** A peer's words, fit for a log line: no control characters, no novel. */
const printable = (text: string): string =>
  text
    .replace(/[^\x20-\x7e]/g, '?')
    .slice(0, 120)
    .replace(/\.$/, '')
