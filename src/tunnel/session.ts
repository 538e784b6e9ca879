/** A node's tunnel as the hub holds it: the HTTP/2 client over an accepted WebSocket, ready for requests. */
import { type ClientHttp2Session, connect } from 'node:http2'
import type { Dispatcher } from 'undici'
import type { WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import type { HolonError } from '../core/errors.ts'
import { Canceller } from './canceller.ts'
import { TunnelDispatcher } from './dispatcher.ts'
import { FrameGuard } from './frame-guard.ts'
import type { TunnelHello } from './handshake.ts'
import { hubSessionOptions, sessionWindow, type TunnelTiming } from './limits.ts'
import { type LinkEnd, TunnelLink } from './link.ts'
import { closeCodes } from './wire.ts'

export interface TunnelStats {
  /** Milliseconds since the epoch. */
  connectedAt: number
  openStreams: number
  requests: number
  bytesIn: number
  bytesOut: number
  bufferedBytes: number
  /** Of the latest heartbeat, in milliseconds. */
  rttMs: number | null
  /** Since the node's last sign of life, in milliseconds. */
  silentMs: number
}

export interface TunnelSession {
  readonly nodeId: string
  /** Random per agent process. */
  readonly instanceId: string
  readonly agentVersion: string
  readonly remoteAddress: string
  /** Sends requests through the tunnel wherever undici takes a dispatcher; `pool.dispatch` becomes `dispatcher.dispatch`. */
  readonly dispatcher: Dispatcher
  /** One request, by undici's `request`: `session.request({ path: '/health', method: 'GET' })`. */
  request(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<Dispatcher.ResponseData>
  /** Why the tunnel has ended; null while it is open. */
  endedBy(): HolonError | null
  /** Ends the tunnel; every request on the way fails with `tunnel_lost`. `closeCodes` names the codes. */
  close(code: number, reason: string): void
  /** Resolves once, when the tunnel has ended, however it did. */
  readonly closed: Promise<LinkEnd>
  stats(): TunnelStats
}

export class HubSession implements TunnelSession {
  readonly nodeId: string
  readonly instanceId: string
  readonly agentVersion: string
  readonly remoteAddress: string
  readonly dispatcher: TunnelDispatcher
  readonly closed: Promise<LinkEnd>
  /** Resolves when the node's HTTP/2 settings are here; rejects when the tunnel ends before. */
  readonly ready: Promise<void>
  private readonly link: TunnelLink
  private readonly h2: ClientHttp2Session
  private readonly connectedAt: number

  constructor(ws: WebSocket, hello: TunnelHello, clock: Clock, timing: TunnelTiming) {
    this.nodeId = hello.nodeId
    this.instanceId = hello.instanceId
    this.agentVersion = hello.agentVersion
    this.remoteAddress = hello.remoteAddress
    this.connectedAt = clock.now()

    const guard = new FrameGuard()
    let settle: (end: LinkEnd) => void = () => undefined
    this.closed = new Promise((resolve) => {
      settle = resolve
    })
    const link = new TunnelLink({
      ws,
      peer: `node ${hello.nodeId}`,
      clock,
      timing,
      guard,
      onEnd: (end) => {
        this.dispatcher.destroy(end.error)
        this.h2.destroy(end.error)
        settle(end)
      },
    })
    this.link = link
    this.h2 = connect('http://node', { ...hubSessionOptions, createConnection: () => link.duplex })
    this.dispatcher = new TunnelDispatcher({
      h2: this.h2,
      guard,
      canceller: new Canceller(this.h2, guard, clock),
      endedBy: () => this.endedBy(),
      broke: (error) => this.broke(error),
    })
    this.ready = this.setUp(clock, timing)
  }

  request(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<Dispatcher.ResponseData> {
    return this.dispatcher.request({ ...options, origin: 'http://node' })
  }

  endedBy(): HolonError | null {
    return this.link.ended?.error ?? null
  }

  close(code: number, reason: string): void {
    this.link.close(code, reason)
  }

  /** True when the node gave a sign of life within `ms`. */
  probe(ms: number): Promise<boolean> {
    return this.link.probe(ms)
  }

  stats(): TunnelStats {
    return {
      connectedAt: this.connectedAt,
      openStreams: this.dispatcher.openStreams,
      requests: this.dispatcher.requests,
      bytesIn: this.link.bytesIn,
      bytesOut: this.link.duplex.bytesOut,
      bufferedBytes: this.link.bufferedBytes,
      rttMs: this.link.rttMs,
      silentMs: this.link.silentMs,
    }
  }

  private broke(error: Error): HolonError {
    this.link.misbehaved(`it broke HTTP/2 (${error.message})`)
    return this.endedBy()!
  }

  private setUp(clock: Clock, timing: TunnelTiming): Promise<void> {
    const { h2, link } = this
    h2.once('connect', () => h2.setLocalWindowSize(sessionWindow))
    h2.on('error', (error) => this.broke(error))
    h2.on('close', () => link.close(closeCodes.goingAway, 'its HTTP/2 session ended'))
    h2.on('stream', (stream) => {
      stream.on('error', () => undefined)
      link.misbehaved('it tried to push what nobody asked for')
    })
    return new Promise((resolve, reject) => {
      const cancel = clock.after(timing.setupMs, () =>
        link.misbehaved('it opened a tunnel and did not speak HTTP/2'),
      )
      h2.once('remoteSettings', () => {
        cancel()
        resolve()
      })
      void this.closed.then((end) => {
        cancel()
        reject(end.error)
      })
    })
  }
}
