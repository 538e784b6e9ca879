/**
 * One request and its response: the id, whether the client is still there, and the ways to answer. Everything that
 * is written to a client of the hot path is written here or in the relay.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type HolonError, toEnvelope } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'

/** A client that takes nothing for this long is let go, so that it does not hold engine and memory for ever. */
export const clientStallMs = 120_000

const maxStringBytes = 16 * 1024
const ignore = (): void => undefined
const usableId = /^[\x21-\x7e]{1,128}$/

export class Exchange {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly id: string
  /** Monotonic milliseconds. */
  readonly startedAt = performance.now()
  /** Extra response headers, set once the route is known. */
  node: string | null = null
  route: string | null = null
  /** True once the client closed its connection before the answer was whole. */
  gone = false
  /** True once a stream's head has been written. */
  streaming = false
  /** The status sent, for the books. */
  status = 0
  private abort: AbortController | null = null
  private leaving: (() => void) | null = null

  constructor(req: IncomingMessage, res: ServerResponse) {
    this.req = req
    this.res = res
    const asked = req.headers['x-request-id']
    this.id = typeof asked === 'string' && usableId.test(asked) ? asked : newId('req')
    res.on('close', () => {
      if (res.writableFinished) return
      this.gone = true
      this.abort?.abort()
      this.leaving?.()
    })
    res.on('error', ignore)
  }

  /** Aborted when the client leaves. Made when asked for: an engine that is ready is held without it. */
  get signal(): AbortSignal {
    if (this.abort === null) {
      this.abort = new AbortController()
      if (this.gone) this.abort.abort()
    }
    return this.abort.signal
  }

  /** One callback for when the client leaves; a later call replaces it. */
  onGone(callback: (() => void) | null): void {
    this.leaving = callback
  }

  /** A whole JSON response. */
  sendJson(status: number, body: string | Buffer, type = 'application/json', retryAfterS?: number): void {
    if (this.gone || this.res.headersSent) return
    this.status = status
    const headers = this.headers(type)
    headers['content-length'] = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    if (retryAfterS !== undefined) headers['retry-after'] = Math.max(1, Math.ceil(retryAfterS))
    this.res.writeHead(status, headers)
    // As a latin1 string node sends head and body in one write; bytes survive that encoding unchanged.
    if (typeof body !== 'string' && body.length <= maxStringBytes) this.end(body.toString('latin1'), 'latin1')
    else this.end(body)
  }

  /** Ends the response. A client that then takes none of it is let go in bounded time. */
  end(last?: string | Buffer, encoding: BufferEncoding = 'utf8'): void {
    this.res.end(last, encoding)
    if (this.res.writableLength > 0) this.res.setTimeout(clientStallMs, () => this.res.destroy())
  }

  /** Starts a stream: 200 and the head of server-sent events. Does nothing the second time. */
  openStream(): void {
    if (this.streaming || this.gone) return
    this.streaming = true
    this.status = 200
    const headers = this.headers('text/event-stream; charset=utf-8')
    headers['cache-control'] = 'no-cache'
    headers['x-accel-buffering'] = 'no'
    this.res.writeHead(200, headers)
  }

  /** An SSE comment, which clients skip: it keeps the connection alive and tells a person what is going on. */
  comment(text: string): void {
    if (this.gone || this.res.writableNeedDrain) return
    this.openStream()
    this.res.write(`: ${text}\n\n`)
  }

  /**
   * The error envelope, as the response or, when a stream has begun, as its last event, without `[DONE]`.
   * After the head of a plain body there is no way to say it: the connection is cut, so that nobody takes it as whole.
   */
  fail(error: HolonError): void {
    if (this.gone) return
    const envelope = JSON.stringify(toEnvelope(error))
    if (this.streaming) {
      this.status = error.status
      this.end(`data: ${envelope}\n\n`)
    } else if (this.res.headersSent) {
      this.status = error.status
      this.res.destroy()
    } else {
      this.sendJson(error.status, envelope, 'application/json', error.retryAfterS)
    }
  }

  headers(type: string): Record<string, string | number> {
    const headers: Record<string, string | number> = { 'content-type': type, 'x-request-id': this.id }
    if (this.node !== null) headers['x-holon-node'] = this.node
    if (this.route !== null) headers['x-holon-route'] = this.route
    return headers
  }
}
