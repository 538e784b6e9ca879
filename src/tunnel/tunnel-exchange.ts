/**
 * One request and its answer on one HTTP/2 stream of a tunnel. Ends exactly once: complete, aborted by the caller,
 * out of time, refused for a broken rule, or with the tunnel.
 */
import { STATUS_CODES } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
} from 'node:http2'
import { Readable } from 'node:stream'
import { type Dispatcher, errors } from 'undici'
import { HolonError } from '../core/errors.ts'
import type { Canceller } from './canceller.ts'
import type { FrameGuard } from './frame-guard.ts'

export interface TunnelParts {
  h2: ClientHttp2Session
  guard: FrameGuard
  /** Through which every cancel goes. */
  canceller: Canceller
  /** Why the tunnel has ended; null while it lives. */
  endedBy(): HolonError | null
  /** The HTTP/2 session failed: ends the tunnel and says why. A stream hears of it before the session does. */
  broke(error: Error): HolonError
}

export interface TunnelRequest {
  path: string
  method: string
  authority: string
  headers: Record<string, string | string[]>
  body: unknown
  /** Until the head of the answer, 0 for ever. Milliseconds. */
  headersTimeoutMs: number
  /** Between two pieces of the answer, 0 for ever; it stands still while the caller has paused. Milliseconds. */
  bodyTimeoutMs: number
}

const misbehaved = (sentence: string): HolonError => new HolonError('tunnel_misbehaved', sentence)

export class TunnelExchange implements Dispatcher.DispatchController {
  aborted = false
  paused = false
  reason: Error | null = null
  private readonly parts: TunnelParts
  private readonly request: TunnelRequest
  private readonly handler: Dispatcher.DispatchHandler
  private readonly left: () => void
  private stream: ClientHttp2Stream | null = null
  private streamId = 0
  private answered = false
  private settled = false
  private timer: NodeJS.Timeout | null = null
  private received = 0
  private promised: number | null = null
  private upload: Readable | null = null

  constructor(
    parts: TunnelParts,
    request: TunnelRequest,
    handler: Dispatcher.DispatchHandler,
    left: () => void,
  ) {
    this.parts = parts
    this.request = request
    this.handler = handler
    this.left = left
  }

  start(): void {
    try {
      this.handler.onRequestStart?.(this, {})
      if (this.settled) return
      this.send()
    } catch (error) {
      this.fail(error instanceof HolonError ? error : asRefusal(error))
    }
  }

  abort(reason: Error): void {
    this.aborted = true
    this.reason = reason ?? new errors.RequestAbortedError()
    this.fail(this.reason)
  }

  pause(): void {
    if (this.paused || this.settled) return
    this.paused = true
    this.stopTimer()
    this.stream?.pause()
  }

  resume(): void {
    if (!this.paused || this.settled) return
    this.paused = false
    this.stream?.resume()
    this.startTimer(this.answered ? this.request.bodyTimeoutMs : this.request.headersTimeoutMs)
  }

  private send(): void {
    const { method, path, authority, headers } = this.request
    const body = sendable(this.request.body)
    const whole = body instanceof Readable ? null : body
    if (whole !== null && headers['content-length'] === undefined)
      headers['content-length'] = String(whole.length)
    checkLength(whole, headers['content-length'])
    const stream = this.parts.h2.request(
      { ...headers, ':method': method, ':path': path, ':authority': authority, ':scheme': 'http' },
      { endStream: body === null },
    )
    this.stream = stream
    this.listen(stream)
    this.startTimer(this.request.headersTimeoutMs)
    if (whole !== null) stream.end(whole)
    else if (body instanceof Readable) this.pump(body, stream)
  }

  private listen(stream: ClientHttp2Stream): void {
    const known = () => {
      this.streamId = stream.id ?? 0
      if (!this.settled) this.parts.guard.open(this.streamId)
    }
    if (stream.id === undefined) stream.once('ready', known)
    else known()
    stream.on('response', (headers) => this.onHead(headers))
    stream.on('trailers', () =>
      this.fail(misbehaved('The node sent trailers, which the tunnel does not carry.')),
    )
    stream.on('error', (error) => this.fail(this.explain(error)))
    stream.on('close', () => {
      // Every good answer passes here too, and an error costs a stack trace.
      if (!this.settled) this.fail(this.explain(null))
    })
  }

  private onHead(headers: IncomingHttpHeaders & { ':status'?: number }): void {
    const status = headers[':status'] ?? 0
    if (this.settled || status < 200) return
    const plain: IncomingHttpHeaders = {}
    for (const name in headers) if (name[0] !== ':') plain[name] = headers[name]
    this.answered = true
    const length = plain['content-length']
    if (this.request.method !== 'HEAD' && status !== 304 && length !== undefined)
      this.promised = Number(length)
    this.startTimer(this.request.bodyTimeoutMs)
    this.guarded(() => this.handler.onResponseStart?.(this, status, plain, STATUS_CODES[status] ?? ''))
    if (this.settled) return
    // Only now: Node tells of the head a tick later than of bytes that came with it.
    this.stream?.on('end', () => this.onEnd())
    this.stream?.on('data', (chunk: Buffer) => this.onData(chunk))
    if (this.paused) this.stream?.pause()
  }

  private onData(chunk: Buffer): void {
    if (this.settled) return
    this.received += chunk.length
    if (!this.paused) this.timer?.refresh()
    this.guarded(() => this.handler.onResponseData?.(this, chunk))
  }

  private onEnd(): void {
    if (this.settled) return
    // Node says 'end' for a stream that was reset, too.
    const whole = this.parts.guard.sawEnd(this.streamId) && this.parts.endedBy() === null
    if (!whole) {
      this.fail(this.explain(null))
      return
    }
    if (this.promised !== null && this.promised !== this.received) {
      this.fail(misbehaved('The node sent an answer of another length than it had said.'))
      return
    }
    this.settle()
    // The node may answer before it has the whole request (a refusal, say): the rest is not wanted any more.
    if (this.stream && !this.stream.writableEnded) this.reset()
    this.handler.onResponseEnd?.(this, {})
  }

  /** An exception of the handler's own must not leave the stream behind, nor end the process from a socket callback. */
  private guarded(call: () => void): void {
    try {
      call()
    } catch (error) {
      this.fail(error as Error)
    }
  }

  private pump(body: Readable, stream: ClientHttp2Stream): void {
    this.upload = body
    body.on('data', (chunk: Buffer | string) => {
      if (!stream.destroyed && !stream.write(chunk)) body.pause()
    })
    stream.on('drain', () => body.resume())
    body.on('end', () => stream.end())
    body.on('error', (error) => this.fail(error))
    body.on('close', () => {
      if (!body.readableEnded) this.fail(new errors.RequestAbortedError('The body of the request broke off.'))
    })
  }

  private fail(error: Error): void {
    if (this.settled) return
    this.settle()
    this.reset()
    this.handler.onResponseError?.(this, error)
  }

  private settle(): void {
    this.settled = true
    this.stopTimer()
    this.parts.guard.forget(this.streamId)
    this.upload?.destroy()
    this.left()
  }

  private reset(): void {
    if (!this.stream) return
    this.stream.removeAllListeners('data')
    this.parts.canceller.cancel(this.stream)
  }

  private explain(error: Error | null): Error {
    const ended = this.parts.endedBy()
    if (ended) return ended
    if (error instanceof HolonError) return error
    if (error && /^ERR_HTTP2_(SESSION_ERROR|ERROR)$/.test(codeOf(error))) return this.parts.broke(error)
    const code = this.stream?.rstCode ?? 0
    if (code === constants.NGHTTP2_ENHANCE_YOUR_CALM || code === constants.NGHTTP2_REFUSED_STREAM) {
      return new HolonError('overloaded', 'The node refused the request because too many are open.', {
        cause: error,
      })
    }
    const what = this.answered ? 'broke off its answer' : 'dropped the request'
    const name = nameOf(code)
    return new HolonError('tunnel_lost', `The node ${what} (${name}).`, {
      hint: 'Send the request again.',
      cause: error,
    })
  }

  private startTimer(ms: number): void {
    this.stopTimer()
    if (ms <= 0 || this.settled || this.paused) return
    this.timer = setTimeout(() => {
      this.fail(this.answered ? new errors.BodyTimeoutError() : new errors.HeadersTimeoutError())
    }, ms)
    this.timer.unref()
  }

  private stopTimer(): void {
    if (this.timer) clearTimeout(this.timer)
    this.timer = null
  }
}

/** @throws HolonError tunnel_request_invalid */
function sendable(body: unknown): Buffer | Readable | null {
  if (body === null || body === undefined) return null
  if (typeof body === 'string') return Buffer.from(body)
  if (body instanceof Uint8Array) return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  if (body instanceof Readable) return body
  if (
    typeof body === 'object' &&
    (Symbol.asyncIterator in body || Symbol.iterator in body) &&
    !('append' in body)
  ) {
    return Readable.from(body as AsyncIterable<Uint8Array>, { objectMode: false })
  }
  throw new HolonError('tunnel_request_invalid', 'The body must be text, bytes or a stream of bytes.')
}

function checkLength(whole: Buffer | null, told: string | string[] | undefined): void {
  if (whole === null || told === undefined || Number(told) === whole.length) return
  throw new HolonError('tunnel_request_invalid', 'The content-length differs from the length of the body.')
}

function asRefusal(error: unknown): HolonError {
  const message = error instanceof Error ? error.message : String(error)
  return new HolonError('tunnel_request_invalid', `The request cannot be sent: ${message}.`, { cause: error })
}

const codeOf = (error: Error): string => String((error as { code?: unknown }).code)

const codeNames = new Map(
  Object.entries(constants)
    .filter(([name]) =>
      /^NGHTTP2_(NO_ERROR|PROTOCOL_ERROR|INTERNAL_ERROR|FLOW_CONTROL_ERROR|STREAM_CLOSED|CANCEL|COMPRESSION_ERROR|FRAME_SIZE_ERROR)$/.test(
        name,
      ),
    )
    .map(([name, code]) => [code, name.replace('NGHTTP2_', '').toLowerCase()]),
)
const nameOf = (code: number): string => codeNames.get(code) ?? `error ${code}`
