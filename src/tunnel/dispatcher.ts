/**
 * A tunnel as an undici `Dispatcher`, so that the hub sends to an engine behind a node exactly as it sends to one on
 * its own machine. Bytes go from HTTP/2 stream to handler with pause and resume, no streams API in between.
 */
import { Dispatcher, errors } from 'undici'
import { HolonError } from '../core/errors.ts'
import { Roster, type Seat } from '../core/roster.ts'
import { maxOpenStreams } from './limits.ts'
import { checkAuthority, checkMethod, checkPath, type HeaderPairs, requestHeaders } from './request-rules.ts'
import { TunnelExchange, type TunnelParts, type TunnelRequest } from './tunnel-exchange.ts'
import { asController, modernHandler } from './undici-handler.ts'

/** undici's own defaults, in milliseconds. */
const defaultTimeoutMs = 300_000
const defaultAuthority = 'node'

export class TunnelDispatcher extends Dispatcher {
  private readonly parts: TunnelParts
  private readonly open = new Roster<TunnelExchange>()
  /** The hub sends to one origin only: read once. */
  private readonly authority = new Authority()
  private closing: HolonError | null = null
  private whenIdle: (() => void)[] = []
  requests = 0

  constructor(parts: TunnelParts) {
    super()
    this.parts = parts
  }

  get openStreams(): number {
    return this.open.size
  }

  /**
   * Sends one request. Failures reach the handler as HolonError `tunnel_lost`, `tunnel_misbehaved`,
   * `tunnel_request_invalid` or `overloaded`, or as undici's own timeout and abort errors.
   */
  override dispatch(options: Dispatcher.DispatchOptions, given: Dispatcher.DispatchHandler): boolean {
    const handler = modernHandler(given)
    let request: TunnelRequest
    try {
      this.admit()
      request = toRequest(options, this.authority.of(options.origin))
    } catch (error) {
      const refused = asController()
      handler.onResponseError?.(refused, error as Error)
      return true
    }
    const exchange = new TunnelExchange(this.parts, request, handler, () => this.left(seat))
    const seat = this.open.enter(exchange)
    this.requests += 1
    exchange.start()
    return true
  }

  /** No new requests; resolves when the ones on the way are done. The tunnel itself stays. */
  override close(): Promise<void>
  override close(callback: () => void): void
  override close(callback?: () => void): Promise<void> | undefined {
    this.closing ??= new HolonError('tunnel_lost', 'The connection to the node is being closed.')
    const done = new Promise<void>((resolve) => {
      if (this.open.size === 0) resolve()
      else this.whenIdle.push(resolve)
    })
    if (!callback) return done
    done.then(callback)
    return undefined
  }

  /** Ends every request with `error` now. The tunnel itself stays. */
  override destroy(): Promise<void>
  override destroy(error: Error | null): Promise<void>
  override destroy(callback: () => void): void
  override destroy(error: Error | null, callback: () => void): void
  override destroy(
    errorOrCallback?: Error | null | (() => void),
    callback?: () => void,
  ): Promise<void> | undefined {
    const error = typeof errorOrCallback === 'function' ? null : (errorOrCallback ?? null)
    const done = typeof errorOrCallback === 'function' ? errorOrCallback : callback
    const reason = error ?? new errors.ClientDestroyedError()
    this.closing ??= new HolonError('tunnel_lost', 'The connection to the node was closed.', {
      cause: reason,
    })
    for (const { who } of this.open.seated()) who.abort(reason)
    if (!done) return Promise.resolve()
    queueMicrotask(done)
    return undefined
  }

  private admit(): void {
    const ended = this.parts.endedBy() ?? this.closing
    if (ended) throw ended
    if (this.open.size + this.parts.canceller.lingering >= maxOpenStreams) {
      throw new HolonError('overloaded', `The node has ${maxOpenStreams} requests open, which is its limit.`)
    }
  }

  private left(seat: Seat<TunnelExchange>): void {
    this.open.leave(seat)
    if (this.open.size > 0) return
    for (const resolve of this.whenIdle.splice(0)) resolve()
  }
}

class Authority {
  private origin: string | URL | undefined
  private host = defaultAuthority

  /** @throws HolonError tunnel_request_invalid */
  of(origin: string | URL | undefined): string {
    if (origin !== this.origin) {
      const host = origin ? new URL(origin).host : defaultAuthority
      checkAuthority(host)
      this.host = host
      this.origin = origin
    }
    return this.host
  }
}

function toRequest(options: Dispatcher.DispatchOptions, authority: string): TunnelRequest {
  const query = options.query ? `?${new URLSearchParams(options.query).toString()}` : ''
  const path = `${options.path}${query}`
  checkPath(path)
  checkMethod(options.method)
  if (options.upgrade) throw new HolonError('tunnel_request_invalid', 'The tunnel carries no upgrades.')
  return {
    path,
    method: options.method,
    authority,
    headers: requestHeaders(headerPairs(options.headers)),
    body: options.body ?? null,
    headersTimeoutMs: options.headersTimeout ?? defaultTimeoutMs,
    bodyTimeoutMs: options.bodyTimeout ?? defaultTimeoutMs,
  }
}

/** undici takes headers as an object, a flat list or an iterable of pairs. */
function headerPairs(headers: Dispatcher.DispatchOptions['headers']): HeaderPairs {
  if (!headers) return []
  if (Array.isArray(headers)) {
    if (headers.length > 0 && Array.isArray(headers[0])) return headers as unknown as [string, string][]
    const pairs: [string, string][] = []
    for (let i = 0; i + 1 < headers.length; i += 2) pairs.push([String(headers[i]), String(headers[i + 1])])
    return pairs
  }
  if (Symbol.iterator in headers) return headers as HeaderPairs
  return Object.entries(headers)
}
