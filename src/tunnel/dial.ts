/**
 * The node's end: dials the hub, and answers what comes through with an ordinary request handler. No port is opened on
 * the node. Inside the WebSocket the roles of HTTP turn round: the hub is the client, the node the server.
 */
import { createServer, type Http2Server, type ServerHttp2Session } from 'node:http2'
import { rootCertificates } from 'node:tls'
import { WebSocket } from 'ws'
import { type Clock, systemClock } from '../core/clock.ts'
import { asHolonError, HolonError } from '../core/errors.ts'
import { newId } from '../core/ids.ts'
import { type Log, silentLog } from '../core/log.ts'
import { tlsProblem } from '../core/tls-problem.ts'
import { readRefusal } from './handshake.ts'
import {
  defaultTiming,
  maxFragments,
  maxMessageBytes,
  nodeSessionOptions,
  sessionWindow,
  type TunnelTiming,
} from './limits.ts'
import { TunnelLink } from './link.ts'
import { guardHandler, type TunnelHandler } from './node-handler.ts'
import { type DialState, defaultReconnectPolicy, Reconnector, type ReconnectPolicy } from './reconnect.ts'
import { closeCodes, handshakeHeaders, isTunnelId, subprotocol, tunnelPath, tunnelVersions } from './wire.ts'

export interface DialOptions {
  /** `http(s)://` or `ws(s)://`, with a path when the hub lives below one. */
  hubUrl: string
  nodeId: string
  agentVersion: string
  /** Asked before every attempt, so that a rotated credential is used at once. */
  credential(): string | Promise<string>
  /** Answers requests of the hub. A client that leaves shows as `aborted` and `close`, as with any Node server. */
  handler: TunnelHandler
  onState?(state: DialState): void
  /** Certificates to trust beside the system's, in PEM, for a hub with its own. */
  ca?: string
  log?: Log
  clock?: Clock
  random?(): number
  timing?: Partial<TunnelTiming>
  reconnect?: Partial<ReconnectPolicy>
  versions?: readonly number[]
}

export interface TunnelDialer {
  state(): DialState
  /** Resolves when it will not dial again: with the reason, or with null after `stop()`. */
  readonly ended: Promise<HolonError | null>
  /** Ends the tunnel, and every answer on the way, and dials no more. */
  stop(): Promise<void>
}

/**
 * Dials until stopped, revoked or refused for good.
 * @throws HolonError config_invalid when the URL or the id cannot be used
 */
export function dialHub(options: DialOptions): TunnelDialer {
  return new Dialer(options)
}

class Dialer implements TunnelDialer {
  readonly ended: Promise<HolonError | null>
  private readonly options: DialOptions
  private readonly url: string
  private readonly instanceId = newId('inst')
  private readonly clock: Clock
  private readonly timing: TunnelTiming
  private readonly log: Log
  private readonly server: Http2Server
  private readonly reconnector: Reconnector
  private link: TunnelLink | null = null
  private socket: WebSocket | null = null
  private settleEnded: (problem: HolonError | null) => void = () => undefined

  constructor(options: DialOptions) {
    if (!isTunnelId(options.nodeId))
      throw new HolonError('config_invalid', `"${options.nodeId}" is no node id.`)
    this.options = options
    this.url = tunnelUrl(options.hubUrl)
    this.clock = options.clock ?? systemClock
    this.timing = { ...defaultTiming, ...options.timing }
    this.log = options.log ?? silentLog
    this.server = createServer(nodeSessionOptions, guardHandler(options.handler, this.log))
    this.server.on('sessionError', () => undefined)
    this.ended = new Promise((resolve) => {
      this.settleEnded = resolve
    })
    this.reconnector = new Reconnector(
      this.clock,
      {
        connect: () => void this.connect(),
        changed: (state) => this.changed(state),
        random: options.random ?? Math.random,
      },
      { ...defaultReconnectPolicy, ...options.reconnect },
    )
    this.reconnector.start()
  }

  state(): DialState {
    return this.reconnector.current
  }

  async stop(): Promise<void> {
    this.reconnector.stop()
    const socket = this.socket
    if (!socket || socket.readyState === socket.CLOSED) return
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    if (this.link) this.link.close(closeCodes.goingAway, 'the node stops')
    else socket.terminate()
    await closed
  }

  private changed(state: DialState): void {
    if (state.phase === 'connected') this.log.info({}, 'Connected to the hub.')
    if (state.phase === 'waiting') this.log.warn({ code: state.problem.code }, state.problem.message)
    if (state.phase === 'ended') {
      if (state.problem) this.log.error({ code: state.problem.code }, state.problem.message)
      this.settleEnded(state.problem)
    }
    this.options.onState?.(state)
  }

  private async connect(): Promise<void> {
    try {
      const credential = await this.options.credential()
      if (this.reconnector.current.phase !== 'connecting') return
      const ws = await this.shake(credential)
      if (this.reconnector.current.phase !== 'connecting') return ws.terminate()
      await this.speak(ws)
      this.reconnector.connected()
      // It may have ended while that was told.
      if (this.link?.ended) this.reconnector.lost(this.link.ended.error)
    } catch (thrown) {
      this.reconnector.lost(asHolonError(thrown))
    }
  }

  /** The WebSocket handshake. */
  private shake(credential: string): Promise<WebSocket> {
    const { nodeId, agentVersion, ca, versions = tunnelVersions } = this.options
    const ws = new WebSocket(this.url, versions.map(subprotocol), {
      headers: {
        authorization: `Bearer ${credential}`,
        [handshakeHeaders.node]: nodeId,
        [handshakeHeaders.instance]: this.instanceId,
        [handshakeHeaders.version]: agentVersion,
      },
      handshakeTimeout: this.timing.setupMs,
      perMessageDeflate: false,
      followRedirects: false,
      autoPong: false,
      maxPayload: maxMessageBytes,
      maxFragments,
      ...(ca === undefined ? {} : { ca: [...rootCertificates, ca], allowPartialTrustChain: true }),
    })
    this.socket = ws
    this.link = null
    return new Promise((resolve, reject) => {
      let refused = false
      ws.once('open', () => {
        // What the hub sends before anyone listens would be lost; reading begins with the link.
        ws.pause()
        resolve(ws)
      })
      ws.once('unexpected-response', (request, response) => {
        refused = true
        const timer = setTimeout(() => response.destroy(), this.timing.setupMs)
        void readRefusal(response).then((error) => {
          clearTimeout(timer)
          reject(error)
          request.destroy()
          ws.terminate()
        })
      })
      ws.on('error', (error: Error & { code?: string }) => {
        if (!refused) reject(unreachable(error))
      })
    })
  }

  /** HTTP/2 inside: resolves when the hub has said its settings. */
  private speak(ws: WebSocket): Promise<void> {
    return new Promise((resolve, reject) => {
      let session: ServerHttp2Session | null = null
      let spoken = false
      const link = new TunnelLink({
        ws,
        peer: 'the hub',
        clock: this.clock,
        timing: this.timing,
        onEnd: (end) => {
          cancel()
          session?.destroy(end.error)
          if (spoken) this.reconnector.lost(end.error)
          else reject(end.error)
        },
      })
      this.link = link
      const cancel = this.clock.after(this.timing.setupMs, () =>
        link.misbehaved('it accepted the tunnel and did not speak HTTP/2'),
      )
      this.server.once('session', (opened) => {
        session = opened
        opened.setLocalWindowSize(sessionWindow)
        opened.once('remoteSettings', () => {
          cancel()
          spoken = true
          resolve()
        })
        opened.on('error', (error) => link.misbehaved(`it broke HTTP/2 (${error.message})`))
        opened.on('close', () => link.close(closeCodes.goingAway, 'its HTTP/2 session ended'))
      })
      this.server.emit('connection', link.duplex)
    })
  }
}

/** @throws HolonError config_invalid */
function tunnelUrl(hubUrl: string): string {
  let url: URL
  try {
    url = new URL(hubUrl)
  } catch {
    throw new HolonError('config_invalid', `"${hubUrl}" is no URL.`, {
      hint: 'Give one such as http://hub.local:4656.',
    })
  }
  const scheme = { 'http:': 'ws:', 'ws:': 'ws:', 'https:': 'wss:', 'wss:': 'wss:' }[url.protocol]
  if (!scheme)
    throw new HolonError('config_invalid', `A hub's URL begins with http or https, not ${url.protocol}`)
  return `${scheme}//${url.host}${url.pathname.replace(/\/+$/, '')}${tunnelPath}`
}

function unreachable(error: Error & { code?: string }): HolonError {
  const tls = tlsProblem(error)
  if (tls) return new HolonError('tunnel_lost', `The hub ${tls.what}.`, { hint: tls.hint, cause: error })
  return new HolonError('tunnel_lost', `The hub cannot be reached (${error.code ?? error.message}).`, {
    hint: 'It is tried again by itself; check that the hub runs and that its address is right.',
    cause: error,
  })
}
