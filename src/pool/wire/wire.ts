/**
 * One member's end of the wire of a launch. Engines speak in the clear and believe everybody, so they stay on loopback:
 * a local port here leads through TLS to the port of an engine there. On an isolated link, which the owner accepted by
 * name, engines speak to each other directly and the wire only watches.
 */
import { connect as connectNet, createServer, type Server, type Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Clock, systemClock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { PartSpec, PeerAddress } from '../../protocol/pool.ts'
import { QuietLog } from '../../tunnel/quiet-log.ts'
import { Control } from './control.ts'
import { type Dialled, dialSecure, isNetworkTrouble } from './dial.ts'
import { defaultTiming, maxPerPeer, socketBuffer, type WireTiming } from './limits.ts'
import { bind, listenSecure, type SecureListener } from './listen.ts'
import { goodbye, lostSentence, unreachedSentence } from './lost-peer.ts'
import { Offers, type Taken } from './offers.ts'
import { preface, readPreface } from './preface.ts'
import { type Reader, type RelayEnd, relay } from './relay.ts'
import { identityOf, readSecret } from './secret.ts'

export interface WireOptions {
  spec: Pick<PartSpec, 'launch' | 'rank' | 'wire'>
  log: Log
  clock?: Clock
  timing?: Partial<WireTiming>
}

export interface HostPort {
  host: string
  port: number
}

export interface Wire {
  /** Where peers dial this member; null when none has to. */
  readonly listening: HostPort | null
  /** Where this member's engine is to listen: loopback, or the link's own address when it is isolated. */
  readonly engineHost: string
  /**
   * Lets peers through to an engine here. With `oneAtATime` a second connection waits until the first has ended, for
   * engines that hang or die of two. A `reader` looks at what peers say to it, and is made for each connection.
   */
  offer(channel: string, port: number, options?: { oneAtATime?: boolean; reader?: () => Reader }): void
  /** Dials these peers and watches over them from then on. @throws HolonError pool_wire_failed, the signal's reason */
  connect(peers: readonly PeerAddress[], signal: AbortSignal): Promise<void>
  /** Where an engine here reaches a dialled peer's channel. @throws HolonError pool_wire_failed */
  wayTo(rank: number, channel: string): Promise<HostPort>
  /** Resolves with one sentence when a peer, or the way to it, is gone. Never after `close`. */
  readonly lost: Promise<string>
  /** Bytes of the engines' traffic through here, both ways; nothing of an isolated link. */
  bytes(): number
  /** Says goodbye, and why when it was not told to, and ends every connection and port. Never rejects. */
  close(cause?: string): Promise<void>
}

/** @throws HolonError pool_wire_failed when the address cannot be listened on; nothing is left open then */
export async function openWire(options: WireOptions): Promise<Wire> {
  const wire = new MemberWire(options)
  await wire.listen()
  return wire
}

const redialMs = 250
const controlChannel = 'control'

class MemberWire implements Wire {
  readonly lost: Promise<string>
  readonly engineHost: string
  listening: HostPort | null = null
  private readonly spec: WireOptions['spec']
  private readonly clock: Clock
  private readonly timing: WireTiming
  private readonly quiet: QuietLog
  private readonly secrets = new Map<number, Buffer>()
  /** Identities that peers use towards this member. */
  private readonly ranks = new Map<string, number>()
  private readonly peers = new Map<number, PeerAddress>()
  private readonly controls = new Map<string, Control>()
  private readonly offers: Offers
  private readonly forwards = new Map<string, Promise<{ server: Server; port: number }>>()
  private readonly live = new Map<RelayEnd, { rank: number; bytes(): number }>()
  private listener: SecureListener | null = null
  private tellLost: (sentence: string) => void = () => undefined
  private closed = false
  private pastBytes = 0

  constructor({ spec, log, clock = systemClock, timing }: WireOptions) {
    this.spec = spec
    this.clock = clock
    this.timing = { ...defaultTiming, ...timing }
    this.quiet = new QuietLog(log, clock)
    this.offers = new Offers(this.timing.engineMs)
    this.lost = new Promise((resolve) => {
      this.tellLost = resolve
    })
    const { mode, host, peers } = spec.wire
    this.engineHost = mode === 'isolated' && host !== null ? host : '127.0.0.1'
    for (const { rank, secret } of peers) {
      this.secrets.set(rank, readSecret(secret))
      this.ranks.set(identityOf(spec.launch, rank, spec.rank), rank)
    }
  }

  async listen(): Promise<void> {
    const { host } = this.spec.wire
    if (host === null) return
    this.listener = await listenSecure({
      host,
      handshakeMs: this.timing.handshakeMs,
      secretOf: (identity) => this.secrets.get(this.ranks.get(identity) ?? -1) ?? null,
      onPeer: (socket, identity, drop) => void this.welcome(socket, this.ranks.get(identity) ?? -1, drop),
      onRefused: (from, why) => this.quiet.warn(from, { from }, `A stranger was refused on the wire: ${why}`),
    })
    this.listening = { host, port: this.listener.port }
  }

  offer: Wire['offer'] = (channel, port, { oneAtATime = false, reader } = {}) => {
    this.offers.set(channel, { port, oneAtATime, reader: reader ?? null })
  }

  async connect(peers: readonly PeerAddress[], signal: AbortSignal): Promise<void> {
    await Promise.all(
      peers.map(async (peer) => {
        this.peers.set(peer.rank, peer)
        const dialled = await this.dialPatiently(peer.rank, signal)
        this.control(`to ${peer.rank}`, peer.rank, dialled)
      }),
    )
  }

  async wayTo(rank: number, channel: string): Promise<HostPort> {
    if (this.spec.wire.mode === 'encrypted') {
      const key = `${rank} ${channel}`
      const forward = this.forwards.get(key) ?? this.forward(rank, channel)
      this.forwards.set(key, forward)
      return { host: '127.0.0.1', port: (await forward).port }
    }
    const at = await this.controls.get(`to ${rank}`)?.where(channel)
    if (at) return at
    throw new HolonError('pool_wire_failed', `Member ${rank} does not open its engine to the isolated link.`)
  }

  bytes(): number {
    let sum = this.pastBytes
    for (const { bytes } of this.live.values()) sum += bytes()
    return sum
  }

  async close(cause?: string): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.listener?.close()
    this.offers.close()
    for (const control of this.controls.values()) control.close(goodbye(cause))
    for (const end of this.live.keys()) end.drop()
    const servers = await Promise.allSettled(this.forwards.values())
    for (const each of servers) if (each.status === 'fulfilled') each.value.server.close()
  }

  /** A peer that has shown the secret. */
  private async welcome(socket: TLSSocket, rank: number, drop: () => void): Promise<void> {
    const end = { socket, drop }
    let atPeer = 0
    for (const { rank: theirs } of this.live.values()) if (theirs === rank) atPeer += 1
    if (this.closed || atPeer >= maxPerPeer) return drop()
    this.live.set(end, { rank, bytes: () => 0 })
    socket.once('close', () => this.live.delete(end))
    const channel = await readPreface(socket, this.timing.handshakeMs)
    if (channel === null || this.closed) return drop()
    if (channel === controlChannel) {
      this.live.delete(end)
      if (this.controls.has(`from ${rank}`)) return drop()
      return this.control(`from ${rank}`, rank, end)
    }
    // Only what a peer has to do with while all is encrypted goes through here.
    if (this.spec.wire.mode !== 'encrypted') return drop()
    const offer = await this.offers.take(channel)
    if (offer === null || socket.destroyed) {
      offer?.done()
      return drop()
    }
    const engine = connectNet({ ...loopback, port: offer.port })
    this.join(rank, { socket: engine, drop: () => void engine.resetAndDestroy() }, end, offer)
  }

  private control(key: string, rank: number, { socket, drop }: Dialled): void {
    if (this.closed) {
      drop()
      return
    }
    this.controls.set(
      key,
      new Control({
        socket,
        drop,
        clock: this.clock,
        timing: this.timing,
        addressOf: async (channel) => this.direct(channel),
        onLost: (why) => {
          if (!this.closed) this.tellLost(lostSentence(rank, why))
        },
      }),
    )
  }

  /** An engine's own address, told on an isolated link only. */
  private async direct(channel: string): Promise<HostPort | null> {
    if (this.spec.wire.mode !== 'isolated') return null
    const offer = await this.offers.take(channel)
    offer?.done()
    return offer ? { host: this.engineHost, port: offer.port } : null
  }

  private async dialPatiently(rank: number, signal: AbortSignal): Promise<Dialled> {
    const until = this.clock.now() + this.timing.dialMs
    for (;;) {
      try {
        return await this.dial(rank, controlChannel, signal)
      } catch (thrown) {
        if (!isNetworkTrouble(thrown) || signal.aborted) throw thrown
        if (this.clock.now() >= until) throw unreached(rank, thrown)
        await new Promise<void>((resolve) => this.clock.after(redialMs, resolve))
      }
    }
  }

  private async dial(rank: number, channel: string, signal?: AbortSignal): Promise<Dialled> {
    const peer = this.peers.get(rank)
    const secret = this.secrets.get(rank)
    if (!peer || !secret)
      throw new HolonError('pool_wire_failed', `Member ${rank} is no peer of this member.`)
    const { host, port } = peer
    const identity = identityOf(this.spec.launch, this.spec.rank, rank)
    const timeoutMs = this.timing.handshakeMs
    const dialled = await dialSecure({ host, port, identity, secret, timeoutMs, signal })
    dialled.socket.write(preface(channel))
    return dialled
  }

  private async forward(rank: number, channel: string): Promise<{ server: Server; port: number }> {
    const server = createServer(
      { allowHalfOpen: true, pauseOnConnect: true, noDelay: true, highWaterMark: socketBuffer },
      (local) => {
        local.on('error', () => undefined)
        const dropLocal = (): void => void local.resetAndDestroy()
        if (this.closed) return dropLocal()
        this.dial(rank, channel).then(
          (peer) => this.join(rank, { socket: local, drop: dropLocal }, peer),
          (thrown) => {
            this.quiet.warn(`${rank}`, { rank }, asHolonError(thrown).message)
            dropLocal()
          },
        )
      },
    )
    const port = await bind(server, '127.0.0.1')
    server.maxConnections = maxPerPeer
    return { server, port }
  }

  private join(rank: number, local: RelayEnd & { socket: Socket }, peer: RelayEnd, taken?: Taken): void {
    const bytes = (): number => local.socket.bytesRead + local.socket.bytesWritten
    this.live.set(peer, { rank, bytes })
    const over = (): void => {
      this.live.delete(peer)
      this.pastBytes += bytes()
      taken?.done()
    }
    relay(local, peer, over, taken?.reader ?? null)
    if (this.closed) peer.drop()
  }
}

function unreached(rank: number, cause: unknown): HolonError {
  return new HolonError('pool_wire_failed', unreachedSentence(rank, asHolonError(cause).message), { cause })
}

const loopback = {
  host: '127.0.0.1',
  allowHalfOpen: true,
  noDelay: true,
  highWaterMark: socketBuffer,
  writableHighWaterMark: socketBuffer,
} as const
