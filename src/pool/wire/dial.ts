/** A member's way to the port of a peer: TLS by the pair's secret, and one line that says which channel it is for. */
import { connect as connectNet } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { HolonError } from '../../core/errors.ts'
import { socketBuffer } from './limits.ts'
import { dropSecure } from './listen.ts'
import { tlsTerms } from './secret.ts'

export interface DialOptions {
  host: string
  port: number
  identity: string
  secret: Buffer
  timeoutMs: number
  signal?: AbortSignal
  /** Address of this machine to leave by. */
  localAddress?: string
}

export interface Dialled {
  socket: TLSSocket
  /** Ends the connection so that the other end sees it as broken. */
  drop(): void
}

/** @throws HolonError pool_wire_failed; `cause` is the network's error when there was one. Or the signal's reason */
export function dialSecure(options: DialOptions): Promise<Dialled> {
  const { host, port, identity, secret, timeoutMs, signal, localAddress } = options
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return void reject(signal.reason)
    const raw = connectNet({ host, port, localAddress, noDelay: true, allowHalfOpen: true, ...buffers })
    const socket = connect({
      ...tlsTerms,
      socket: raw,
      ...buffers,
      pskCallback: () => ({ psk: secret, identity }),
      // With PSK suites alone no certificate can come; should one come all the same, it is not believed.
      checkServerIdentity: (_, { raw: certificate }) =>
        certificate === undefined ? undefined : new Error('a certificate came where the secret was due'),
    })
    const settle = (): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', aborted)
      socket.off('error', failed)
      socket.on('error', () => undefined)
    }
    const fail = (error: unknown): void => {
      settle()
      dropSecure(raw)
      reject(error)
    }
    const failed = (error: NodeJS.ErrnoException): void => fail(explain(error, host, port))
    const aborted = (): void => fail(signal?.reason)
    const timer = setTimeout(
      () => failed(Object.assign(new Error('timed out'), { code: 'ETIMEDOUT' })),
      timeoutMs,
    )
    signal?.addEventListener('abort', aborted, { once: true })
    raw.on('error', () => undefined)
    socket.on('error', failed)
    socket.once('secureConnect', () => {
      settle()
      resolve({ socket, drop: () => dropSecure(raw) })
    })
  })
}

const buffers = { highWaterMark: socketBuffer, writableHighWaterMark: socketBuffer } as const

/** True when trying again may help: the network failed, not the proof. */
export function isNetworkTrouble(error: unknown): boolean {
  const code = codeOf(error instanceof HolonError ? error.cause : error)
  return ['ECONNREFUSED', 'EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'EHOSTDOWN', 'EADDRNOTAVAIL'].includes(
    code,
  )
}

function explain(error: NodeJS.ErrnoException, host: string, port: number): HolonError {
  const where = `${host}:${port}`
  const details = { cause: error }
  if (isNetworkTrouble(error)) {
    return new HolonError(
      'pool_wire_failed',
      `The peer at ${where} cannot be reached (${codeOf(error)}).`,
      details,
    )
  }
  return new HolonError(
    'pool_wire_failed',
    `The peer at ${where} does not accept the secret of this launch, or is no member (${codeOf(error)}).`,
    { ...details, hint: 'Start the pool again: every launch has secrets of its own.' },
  )
}

const codeOf = (error: unknown): string =>
  String((error as NodeJS.ErrnoException | undefined)?.code ?? 'it hung up')
