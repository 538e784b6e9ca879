/**
 * The hub's end: takes HTTP upgrades, lets nodes in, and holds one tunnel per node. The newest connection of one agent
 * process wins, because its older one is most likely half open; a second process with the same identity is refused as
 * long as the first one answers, because two machines with one identity would otherwise throw each other out for ever.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { type Clock, systemClock } from '../core/clock.ts'
import { asHolonError, HolonError } from '../core/errors.ts'
import { type Log, silentLog } from '../core/log.ts'
import { readHello, refuseUpgrade, type TunnelHello } from './handshake.ts'
import { defaultTiming, maxFragments, maxMessageBytes, type TunnelTiming } from './limits.ts'
import { QuietLog } from './quiet-log.ts'
import { HubSession, type TunnelSession } from './session.ts'
import { TokenBucket } from './token-bucket.ts'
import { closeCodes, subprotocol, tunnelPath, tunnelVersions } from './wire.ts'

export interface AcceptOptions {
  /**
   * Who the caller is, by its credential; the id it claims must be that id. Throw `tunnel_refused` for an unknown
   * credential (the agent asks for a fresh one twice, then gives up) and `tunnel_revoked` for a revoked one (it gives up).
   */
  authenticate(hello: TunnelHello, request: IncomingMessage): Promise<{ nodeId: string }>
  /** A node is connected and has spoken HTTP/2. Its `closed` tells when it goes. */
  onSession(session: TunnelSession): void
  hubVersion: string
  path?: string
  log?: Log
  clock?: Clock
  timing?: Partial<TunnelTiming>
  versions?: readonly number[]
}

export interface TunnelAcceptor {
  /**
   * Takes over an upgrade: `server.on('upgrade', acceptor.upgrade)`. Answers on the socket whatever happens and never
   * rejects; null means refused.
   */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<TunnelSession | null>
  session(nodeId: string): TunnelSession | undefined
  sessions(): readonly TunnelSession[]
  /** Ends the node's tunnel, and a handshake it has on the way, for good: the agent does not come back. */
  revoke(nodeId: string, reason: string): void
  /** Ends all tunnels; nodes come back when the hub does. */
  close(): void
}

/** Handshakes on the way at once, all nodes together. */
const maxPending = 256
/** Connections per node: enough for a bad line, too few to keep the hub busy. */
const reconnectBurst = 20
const reconnectsPerS = 1
const maxBuckets = 4_096

interface Pending {
  nodeId: string
  revoked: boolean
}

export function createTunnelAcceptor(options: AcceptOptions): TunnelAcceptor {
  return new Acceptor(options)
}

class Acceptor implements TunnelAcceptor {
  private readonly options: AcceptOptions
  private readonly terms: { path: string; versions: readonly number[]; hubVersion: string }
  private readonly clock: Clock
  private readonly timing: TunnelTiming
  private readonly log: Log
  private readonly quiet: QuietLog
  private readonly server: WebSocketServer
  private readonly nodes = new Map<string, HubSession>()
  private readonly pending = new Set<Pending>()
  private readonly buckets = new Map<string, TokenBucket>()
  /** ws tells of a bad handshake by an event of its server; this finds the one whose handshake it was. */
  private readonly refusedByWs = new WeakMap<Duplex, (error: Error) => void>()
  private stopping = false

  constructor(options: AcceptOptions) {
    this.options = options
    this.terms = {
      path: options.path ?? tunnelPath,
      versions: options.versions ?? tunnelVersions,
      hubVersion: options.hubVersion,
    }
    this.clock = options.clock ?? systemClock
    this.timing = { ...defaultTiming, ...options.timing }
    this.log = options.log ?? silentLog
    this.quiet = new QuietLog(this.log, this.clock)
    this.server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      perMessageDeflate: false,
      autoPong: false,
      maxPayload: maxMessageBytes,
      maxFragments,
      handleProtocols: (offered) => this.pick(offered),
    })
    this.server.on('wsClientError', (error, socket) => this.refusedByWs.get(socket)?.(error))
  }

  readonly upgrade = async (
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
  ): Promise<TunnelSession | null> => {
    socket.on('error', () => undefined)
    let pending: Pending | null = null
    let upgraded = false
    try {
      const hello = readHello(request, this.terms)
      pending = this.admit(hello)
      await this.identify(hello, request, pending)
      await this.settleIdentity(hello)
      this.stillWanted(pending)
      const ws = await this.open(request, socket, head)
      upgraded = true
      return await this.enter(ws, hello, pending)
    } catch (thrown) {
      const error = this.fitToTell(thrown)
      if (!upgraded) refuseUpgrade(socket, error)
      this.tell(error, request)
      return null
    } finally {
      if (pending) this.pending.delete(pending)
    }
  }

  session(nodeId: string): TunnelSession | undefined {
    return this.nodes.get(nodeId)
  }

  sessions(): readonly TunnelSession[] {
    return [...this.nodes.values()]
  }

  revoke(nodeId: string, reason: string): void {
    for (const each of this.pending) if (each.nodeId === nodeId) each.revoked = true
    this.nodes.get(nodeId)?.close(closeCodes.revoked, reason)
  }

  close(): void {
    this.stopping = true
    for (const session of [...this.nodes.values()]) session.close(closeCodes.goingAway, 'the hub stops')
  }

  private admit(hello: TunnelHello): Pending {
    if (this.stopping) throw new HolonError('overloaded', 'The hub is stopping.', { retryAfterS: 2 })
    if (this.pending.size >= maxPending) {
      throw new HolonError('overloaded', 'Too many nodes are connecting at once.', { retryAfterS: 2 })
    }
    const pending = { nodeId: hello.nodeId, revoked: false }
    this.pending.add(pending)
    return pending
  }

  private async identify(hello: TunnelHello, request: IncomingMessage, pending: Pending): Promise<void> {
    const late = new HolonError('overloaded', 'The hub could not check the credential in time.', {
      retryAfterS: 5,
    })
    const { nodeId } = await this.within(this.options.authenticate(hello, request), late)
    if (nodeId !== hello.nodeId) {
      throw new HolonError('tunnel_refused', `The credential is not that of node ${hello.nodeId}.`)
    }
    this.stillWanted(pending)
    const now = performance.now()
    const bucket = this.bucketOf(nodeId, now)
    if (bucket.take(now)) return
    throw new HolonError('tunnel_rate_limited', `Node ${nodeId} connects too often.`, {
      retryAfterS: Math.max(1, bucket.waitS(now)),
    })
  }

  private within<T>(work: Promise<T>, late: HolonError): Promise<T> {
    return new Promise((resolve, reject) => {
      const cancel = this.clock.after(this.timing.setupMs, () => reject(late))
      work.then(resolve, reject).finally(cancel)
    })
  }

  private bucketOf(nodeId: string, now: number): TokenBucket {
    let bucket = this.buckets.get(nodeId)
    if (!bucket) {
      if (this.buckets.size >= maxBuckets) {
        for (const [id, each] of this.buckets) if (each.isFull(now)) this.buckets.delete(id)
      }
      bucket = new TokenBucket(reconnectBurst, reconnectsPerS)
      this.buckets.set(nodeId, bucket)
    }
    return bucket
  }

  /** Another process with the same identity: the one that is there stays if it lives. */
  private async settleIdentity(hello: TunnelHello): Promise<void> {
    const there = this.nodes.get(hello.nodeId)
    if (!there || there.instanceId === hello.instanceId) return
    if (await there.probe(this.timing.probeMs)) {
      throw new HolonError(
        'tunnel_identity_in_use',
        `Node ${hello.nodeId} is connected already, from another agent at ${there.remoteAddress}.`,
        { retryAfterS: 15 },
      )
    }
    there.close(closeCodes.silent, 'it did not answer when its successor came')
  }

  private stillWanted(pending: Pending): void {
    if (pending.revoked) throw new HolonError('tunnel_revoked', `Node ${pending.nodeId} was revoked.`)
    if (this.stopping) throw new HolonError('overloaded', 'The hub is stopping.', { retryAfterS: 2 })
  }

  private open(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<WebSocket> {
    return new Promise((resolve, reject) => {
      const gone = () => reject(new HolonError('tunnel_lost', 'The node hung up during the handshake.'))
      if (!socket.readable || !socket.writable) return gone()
      socket.once('close', gone)
      this.refusedByWs.set(socket, (error) => {
        reject(new HolonError('tunnel_handshake_invalid', `${error.message}.`))
      })
      this.server.handleUpgrade(request, socket, head, (ws) => {
        socket.off('close', gone)
        // What the node sends before anyone listens would be lost; reading begins with the session.
        ws.pause()
        resolve(ws)
      })
    })
  }

  private async enter(ws: WebSocket, hello: TunnelHello, pending: Pending): Promise<TunnelSession> {
    const session = new HubSession(ws, hello, this.clock, this.timing)
    await session.ready
    try {
      this.stillWanted(pending)
    } catch (error) {
      session.close(pending.revoked ? closeCodes.revoked : closeCodes.goingAway, (error as Error).message)
      throw error
    }
    const there = this.nodes.get(hello.nodeId)
    if (there && there.instanceId !== hello.instanceId) {
      session.close(closeCodes.identityInUse, 'another agent with this identity was faster')
      throw session.endedBy()!
    }
    this.nodes.set(hello.nodeId, session)
    there?.close(closeCodes.replaced, 'a newer connection of the same agent took over')
    void session.closed.then((end) => {
      if (this.nodes.get(hello.nodeId) === session) this.nodes.delete(hello.nodeId)
      const key = `${hello.nodeId} ${end.code}`
      this.quiet.warn(key, { node: hello.nodeId, code: end.code, by: end.by }, end.error.message)
    })
    this.log.info({ node: hello.nodeId, version: hello.agentVersion }, 'Node connected.')
    this.options.onSession(session)
    return session
  }

  /** What failed inside the hub is for its own log, not for a stranger. */
  private fitToTell(thrown: unknown): HolonError {
    if (thrown instanceof HolonError) return thrown
    this.log.error({ error: asHolonError(thrown).message }, 'A tunnel handshake failed inside the hub.')
    return new HolonError('internal', 'The hub failed while it checked the handshake.', { retryAfterS: 5 })
  }

  private tell(error: HolonError, request: IncomingMessage): void {
    const from = request.socket.remoteAddress ?? 'unknown'
    this.quiet.warn(
      `${error.code} ${from} ${error.message}`,
      { code: error.code, from },
      `A tunnel was refused: ${error.message}`,
    )
  }

  private pick(offered: Set<string>): string | false {
    const version = this.terms.versions.find((each) => offered.has(subprotocol(each)))
    return version === undefined ? false : subprotocol(version)
  }
}
