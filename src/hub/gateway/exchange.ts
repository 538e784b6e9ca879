/**
 * One request and its response: the id, whether the client is still there, and the ways to answer. Everything that
 * is written to a client of the hot path is written here or in the relay.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { HolonError, toEnvelope } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Seat } from '../../core/roster.ts'
import type { Lane } from '../../protocol/lane.ts'
import { type Caller, type Guest, owner } from '../auth/caller.ts'
import { asChunk } from './as-chunk.ts'

/** A client that takes nothing for this long is let go, so that it does not hold engine and memory for ever. */
export const clientStallMs = 120_000

const maxStringBytes = 16 * 1024
const ignore = (): void => undefined
const lastChunk = '0\r\n\r\n'
const usableId = /^[\x21-\x7e]{1,128}$/

export class Exchange implements Guest {
  readonly req: IncomingMessage
  readonly res: ServerResponse
  readonly caller: Caller
  /** The lane it asked for, set once its headers were looked at. */
  lane: Lane = 'production'
  /** Milliseconds after `startedAt` when the caller no longer wants to wait for its turn; null for the hub's patience. */
  deadlineMs: number | null = null
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
  /** A whole answer up to this many bytes is collected before it is sent. */
  readonly collectBytes: number = 1024 * 1024
  /** Whether a larger one may go through as it comes; false where an answer must be understood to be sent. */
  readonly passesThrough: boolean = true
  /** Why it was ended from here, though client and engine would have gone on. */
  cutBy: HolonError | null = null
  private seat: Seat<Guest> | null = null
  private begun = false
  private abort: AbortController | null = null
  private leaving: (() => void) | null = null
  /** Set when the chunks of a stream are framed here. */
  private framed = false

  constructor(req: IncomingMessage, res: ServerResponse, caller: Caller = owner) {
    this.req = req
    this.res = res
    this.caller = caller
    const asked = req.headers['x-request-id']
    this.id = typeof asked === 'string' && usableId.test(asked) ? asked : newId('req')
    res.on('close', () => {
      if (this.seat !== null) this.caller.end(this.seat)
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

  /**
   * The caller wants an answer: its limits, and how long it waits. Does nothing the second time.
   * @throws HolonError key_not_allowed, rate_limit_exceeded, insufficient_quota, invalid_api_key, invalid_parameter
   */
  begin(): void {
    if (this.begun) return
    this.begun = true
    const deadline = this.req.headers['x-holon-deadline']
    if (deadline !== undefined) this.deadlineMs = readDeadline(deadline)
    if (this.gone) throw new HolonError('bad_http', 'The client left.')
    this.seat = this.caller.begin(this)
  }

  /** Ends the answer with an error of ours, wherever it is: waiting, loading or half told. */
  cut(error: HolonError): void {
    if (this.gone || this.res.writableEnded) return
    this.fail(error)
    this.cutBy = error
    this.gone = true
    this.abort?.abort()
    this.leaving?.()
  }

  /** One callback for when the client leaves; a later call replaces it. */
  onGone(callback: (() => void) | null): void {
    this.leaving = callback
  }

  /** A whole JSON response. */
  sendJson(
    status: number,
    body: string | Buffer,
    type = 'application/json',
    retryAfterS?: number,
    more?: HolonError['headers'],
  ): void {
    if (this.gone || this.res.headersSent) return
    this.status = status
    const headers = this.headers(type)
    if (more !== undefined) Object.assign(headers, more)
    headers['content-length'] = typeof body === 'string' ? Buffer.byteLength(body) : body.length
    if (retryAfterS !== undefined) headers['retry-after'] = Math.max(1, Math.ceil(retryAfterS))
    this.res.writeHead(status, headers)
    if (typeof body === 'string' || body.length > maxStringBytes) this.end(body)
    else this.endInOneWrite(body)
  }

  /**
   * As a latin1 string node joins head and body; bytes survive that encoding unchanged. `end` with a text would send it
   * beside an empty piece that carries its callback, and two pieces cost a vectored write.
   */
  private endInOneWrite(body: Buffer): void {
    this.writeNow(body.toString('latin1'), 'latin1')
    this.end()
  }

  /** As `res.write`, without its wait for the end of the tick: all there is now is in `bytes`. */
  private writeNow(bytes: string | Buffer, encoding: BufferEncoding = 'utf8'): boolean {
    const { res } = this
    const { socket } = res
    socket?.cork()
    const taken = res.write(bytes, encoding)
    socket?.uncork()
    return taken
  }

  /** Ends the response. A client that then takes none of it is let go in bounded time. */
  end(last?: string | Buffer): void {
    if (!this.framed) this.res.end(last)
    else {
      if (last !== undefined) this.put(last)
      this.res.end(lastChunk, 'latin1')
    }
    if (this.res.writableLength > 0) this.res.setTimeout(clientStallMs, () => this.res.destroy())
  }

  /** Starts a stream: 200 and the head of server-sent events. Does nothing the second time. */
  openStream(): void {
    if (this.streaming || this.gone) return
    this.streaming = true
    this.status = 200
    const headers = this.headers(this.streamType())
    headers['cache-control'] = 'no-cache'
    headers['x-accel-buffering'] = 'no'
    this.res.writeHead(200, headers)
    // Node writes a chunk as four pieces. A stream is nothing but small chunks: framed here, each is one.
    this.framed = this.res.chunkedEncoding
    this.res.chunkedEncoding = false
  }

  /** Sends bytes of a stream or of an open body; false when the client takes no more for now. */
  protected put(bytes: string | Buffer): boolean {
    // An empty chunk would end the body.
    if (bytes.length === 0) return true
    return this.writeNow(this.framed ? asChunk(bytes) : bytes)
  }

  /** An SSE comment, which clients skip: it keeps the connection alive and tells a person what is going on. */
  comment(text: string): void {
    if (this.gone || this.res.writableNeedDrain) return
    this.openStream()
    const words = this.keepAlive(text)
    if (words !== '') this.put(words)
  }

  /** Bytes of the engine's answer, whole events when it is a stream; false when the client takes no more for now. */
  write(bytes: Buffer): boolean {
    return this.put(bytes)
  }

  /** The engine's whole answer. */
  sendAnswer(body: Buffer, type: string): void {
    this.sendJson(200, body, type)
  }

  /** The engine's own error, with the envelope made of it. */
  refuse(error: HolonError, status: number, envelope: string): void {
    if (this.streaming) this.fail(error)
    else this.sendJson(status, envelope, 'application/json', error.retryAfterS)
  }

  /**
   * The error envelope, as the response or, when a stream has begun, as its last event, without `[DONE]`.
   * After the head of a plain body there is no way to say it: the connection is cut, so that nobody takes it as whole.
   */
  fail(error: HolonError): void {
    if (this.gone) return
    if (this.streaming) {
      this.status = error.status
      this.end(this.brokenStream(error))
    } else if (this.res.headersSent) {
      this.status = error.status
      this.res.destroy()
    } else {
      const body = JSON.stringify(this.failure(error))
      this.sendJson(error.status, body, 'application/json', error.retryAfterS, error.headers)
    }
  }

  // What follows is how OpenAI's surface says it. Another dialect says it otherwise.

  protected streamType(): string {
    return 'text/event-stream; charset=utf-8'
  }

  protected keepAlive(text: string): string {
    return `: ${text}\n\n`
  }

  protected failure(error: HolonError): object {
    return toEnvelope(error)
  }

  protected brokenStream(error: HolonError): string {
    return `data: ${JSON.stringify(toEnvelope(error))}\n\n`
  }

  headers(type: string): Record<string, string | number> {
    const headers: Record<string, string | number> = { 'content-type': type, 'x-request-id': this.id }
    if (this.node !== null) headers['x-holon-node'] = this.node
    if (this.route !== null) headers['x-holon-route'] = this.route
    if (this.seat !== null) this.caller.tellLimits(headers)
    return headers
  }
}

const longestDeadlineS = 86_400

function readDeadline(text: string | string[]): number {
  const seconds = Number(text)
  if (seconds > 0 && seconds <= longestDeadlineS) return seconds * 1000
  throw new HolonError(
    'invalid_parameter',
    `x-holon-deadline is "${String(text).slice(0, 40)}"; it must be seconds from above 0 to ${longestDeadlineS}.`,
    { param: 'x-holon-deadline' },
  )
}
