/**
 * The one port that a member opens for its peers. Whoever connects without the secret learns that it speaks TLS, and
 * nothing else; strangers are few at a time, and short of time.
 */
import { createServer as createNetServer, type Server, type Socket } from 'node:net'
import { createServer, type TLSSocket } from 'node:tls'
import { HolonError } from '../../core/errors.ts'
import { maxStrangers, socketBuffer } from './limits.ts'
import { tlsTerms } from './secret.ts'

export interface SecureListener {
  readonly host: string
  readonly port: number
  /** Takes no more connections; those that are there are their owner's to end. */
  close(): void
}

export interface ListenOptions {
  host: string
  handshakeMs: number
  /** The secret behind an identity, or null for a stranger. */
  secretOf(identity: string): Buffer | null
  /** Someone who knows the secret. `drop` ends the connection so that the other end sees it as broken. */
  onPeer(socket: TLSSocket, identity: string, drop: () => void): void
  onRefused?(from: string, why: string): void
}

/** @throws HolonError pool_wire_failed when the address cannot be listened on */
export async function listenSecure(options: ListenOptions): Promise<SecureListener> {
  const { host, handshakeMs, secretOf, onPeer, onRefused } = options
  const identities = new WeakMap<object, string>()
  const strangers = new Map<string, Socket>()
  const server = createServer(
    {
      ...tlsTerms,
      allowHalfOpen: true,
      noDelay: true,
      highWaterMark: socketBuffer,
      handshakeTimeout: handshakeMs,
      pskCallback: (socket, identity) => {
        identities.set(socket, identity)
        return secretOf(identity)
      },
    },
    (socket) => {
      const raw = strangers.get(keyOf(socket))
      strangers.delete(keyOf(socket))
      const identity = identities.get(socket)
      if (identity === undefined || !raw) return void socket.destroy()
      socket.on('error', () => undefined)
      onPeer(socket, identity, () => dropSecure(raw))
    },
  )
  server.on('connection', (raw: Socket) => {
    const key = keyOf(raw)
    strangers.set(key, raw)
    raw.on('error', () => undefined)
    raw.once('close', () => {
      if (strangers.get(key) === raw) strangers.delete(key)
    })
    if (strangers.size <= maxStrangers) return
    const [oldest] = strangers.values()
    oldest?.destroy()
  })
  server.on('tlsClientError', (error, socket) => {
    onRefused?.(socket.remoteAddress ?? 'unknown', error.message)
    socket.destroy()
  })
  const port = await bind(server, host)
  return {
    host,
    port,
    close: () => {
      server.close()
      for (const raw of strangers.values()) raw.destroy()
    },
  }
}

/** Resolves with the port the system chose. @throws HolonError pool_wire_failed */
export function bind(server: Server, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        new HolonError('pool_wire_failed', `This machine cannot listen on ${host} (${error.code}).`, {
          hint: 'Name an address of this machine: `holon pool preview MODEL` shows the ones it has.',
          cause: error,
        }),
      ),
    )
    server.listen(0, host, () => {
      server.on('error', () => undefined)
      const address = server.address()
      resolve(typeof address === 'object' && address ? address.port : 0)
    })
  })
}

/** A port that was free a moment ago, for an engine that cannot choose one itself. */
export async function freePort(host: string): Promise<number> {
  const server = createNetServer()
  const port = await bind(server, host)
  await new Promise((resolve) => server.close(resolve))
  return port
}

const keyOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`

/**
 * A reset, not an end: half of what was sent must not pass for all of it. TLS on top closes by itself; to destroy it as
 * well crashes Node 20 (a write after free in its TLS wrap).
 */
export function dropSecure(raw: Socket): void {
  if (!raw.destroyed) raw.resetAndDestroy()
}
