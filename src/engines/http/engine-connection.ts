/**
 * One connection to an engine's HTTP server, carrying one request at a time. It reads into one buffer for its whole life
 * and hands on copies of what belongs to answers: for every read, Node's streams allocate 64 KiB, and undici runs a
 * parser in WebAssembly, which together cost the hub more than its own work on a request.
 */
import { connect, type Socket } from 'node:net'
import type { Dispatcher } from 'undici'
import { type AnswerHeaders, AnswerParser, type AnswerSink } from './answer-parser.ts'

/** Bytes read at once. */
const readBytes = 32 * 1024
/** A body up to this size travels in one write with its head. */
const joinedBytes = 16 * 1024
const connectMs = 10_000
/** An end that comes later after a request was meant for it: the engine broke over it, and shall not get it twice unasked. */
const staleMs = 100

export interface EngineAddress {
  host: string
  port: number
}

/** A request as it goes over the wire, and who is told of its answer. */
export interface EngineRequest {
  head: string
  body: Buffer
  handler: Dispatcher.DispatchHandler
}

/** What a connection tells its pool. */
export interface ConnectionOwner {
  /** It can take the next request. @param idleMs how long the server keeps it, if it says so */
  free(connection: EngineConnection, idleMs: number | null): void
  gone(connection: EngineConnection): void
  /** The server closed it while the request was on its way there. @returns whether another connection took it */
  again(request: EngineRequest): boolean
}

export class EngineConnection implements AnswerSink {
  /** Until when the server keeps it, monotonic milliseconds; for the pool. */
  keptUntil = 0
  private readonly socket: Socket
  private readonly owner: ConnectionOwner
  private readonly parser: AnswerParser
  private call: Call | null = null
  /** It has carried an answer before. */
  private isUsed = false
  /** What to send anew if a used connection turns out to be closed; null once the engine was heard of. */
  private unheard: EngineRequest | null = null
  /** Monotonic milliseconds. */
  private sentAt = 0
  private idleMs: number | null = null
  /** Set between the end of an answer and the end of the bytes that came with it. */
  private reusable: boolean | null = null
  /** Views of what the present read holds of the answer. */
  private pieces: Buffer[] = []
  private closed = false

  constructor(address: EngineAddress, owner: ConnectionOwner) {
    this.owner = owner
    this.parser = new AnswerParser(this)
    const buffer = Buffer.allocUnsafeSlow(readBytes)
    const callback = (bytes: number): boolean => {
      this.read(bytes === readBytes ? buffer : buffer.subarray(0, bytes))
      return true
    }
    const socket = connect({ ...address, noDelay: true, onread: { buffer, callback } })
    const refuse = () => this.fail(coded('ETIMEDOUT', 'The engine took no connection.'))
    const timer = setTimeout(refuse, connectMs)
    socket.once('connect', () => clearTimeout(timer))
    socket.on('error', (error) => this.fail(error))
    socket.on('end', () => this.read(null))
    socket.once('close', () => {
      clearTimeout(timer)
      this.fail(coded('ECONNRESET', 'The engine closed the connection.'))
    })
    this.socket = socket
  }

  /** Sends a request and tells `handler` of its answer. Only on a free connection. */
  send(request: EngineRequest): void {
    const { head, body, handler } = request
    const call = new Call(this, handler)
    this.call = call
    this.unheard = this.isUsed ? request : null
    this.sentAt = performance.now()
    this.idleMs = null
    this.parser.reset()
    handler.onRequestStart?.(call, null)
    if (this.call !== call) return
    const { socket } = this
    if (body.length > joinedBytes) {
      socket.cork()
      socket.write(head, 'latin1')
      socket.write(body)
      socket.uncork()
      return
    }
    const whole = Buffer.allocUnsafe(head.length + body.length)
    whole.write(head, 'latin1')
    body.copy(whole, head.length)
    socket.write(whole)
  }

  /**
   * Ends the connection, and with it a request that is under way. But llama-server ends its side a moment after a stream,
   * whatever it said of keeping it: of a request that met that end, nothing is lost.
   */
  fail(error: Error): void {
    const { call, unheard } = this
    this.call = null
    this.unheard = null
    if (!this.closed) {
      this.closed = true
      this.owner.gone(this)
      this.socket.destroy()
    }
    if (call === null) return
    const isStale = unheard !== null && !call.aborted && performance.now() - this.sentAt < staleMs
    if (isStale && this.owner.again(unheard)) call.moved()
    else call.failed(error)
  }

  /** For the call: stops or goes on reading. */
  flow(goOn: boolean): void {
    if (this.closed) return
    if (goOn) this.socket.resume()
    else this.socket.pause()
  }

  // For the parser.

  head(status: number, headers: AnswerHeaders): void {
    const kept = headers['keep-alive']
    if (kept !== undefined) this.idleMs = idleTime(kept)
    this.call?.begun(status, headers)
  }

  data(bytes: Buffer): void {
    this.pieces.push(bytes)
  }

  done(reusable: boolean): void {
    this.reusable = reusable
  }

  /** @param bytes null at the end of the connection */
  private read(bytes: Buffer | null): void {
    if (this.closed) return
    try {
      if (bytes !== null) this.unheard = null
      // Nobody asked: the server says why it closes an idle connection, or answers twice.
      if (this.call === null) throw coded('ECONNRESET', 'The engine spoke unasked.')
      const clean = bytes === null ? this.parser.end() : this.parser.push(bytes)
      this.handOn()
      if (this.reusable !== null) this.conclude(this.reusable && clean)
    } catch (error) {
      this.handOn()
      this.fail(error as Error)
    }
  }

  /** Tokens that arrived together travel together: each piece handed on costs a write to the client. */
  private handOn(): void {
    const { pieces } = this
    if (pieces.length === 0) return
    this.pieces = []
    this.call?.data(pieces.length === 1 ? copyOf(pieces[0]!) : Buffer.concat(pieces))
  }

  /** After the last of an answer's bytes, so that the next request cannot be mixed up with what came after them. */
  private conclude(reusable: boolean): void {
    const { call, socket } = this
    this.call = null
    this.isUsed = true
    this.reusable = null
    // A server that answers before it has read the whole request is not waited for.
    if (reusable && !this.closed && socket.writableLength === 0) {
      if (socket.isPaused()) socket.resume()
      this.owner.free(this, this.idleMs)
    } else this.fail(coded('ECONNRESET', 'The engine closed the connection.'))
    call?.ended()
  }
}

/** One request on its connection, as its handler sees it: once it is over, it can no longer touch the connection. */
class Call implements Dispatcher.DispatchController {
  aborted = false
  reason: Error | null = null
  paused = false
  private connection: EngineConnection | null
  private readonly handler: Dispatcher.DispatchHandler

  constructor(connection: EngineConnection, handler: Dispatcher.DispatchHandler) {
    this.connection = connection
    this.handler = handler
  }

  abort(reason: Error): void {
    if (this.connection === null) return
    this.aborted = true
    this.reason = reason
    this.connection.fail(reason)
  }

  pause(): void {
    this.paused = true
    this.connection?.flow(false)
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    this.connection?.flow(true)
  }

  begun(status: number, headers: AnswerHeaders): void {
    this.handler.onResponseStart?.(this, status, headers)
  }

  data(chunk: Buffer): void {
    this.handler.onResponseData?.(this, chunk)
  }

  ended(): void {
    this.connection = null
    try {
      this.handler.onResponseEnd?.(this, {})
    } catch (error) {
      this.handler.onResponseError?.(this, error as Error)
    }
  }

  /** Its request is another connection's now, and the handler has that one's call. */
  moved(): void {
    this.connection = null
  }

  failed(error: Error): void {
    this.connection = null
    this.handler.onResponseError?.(this, error)
  }
}

function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafe(bytes.length)
  bytes.copy(copy)
  return copy
}

/** `timeout=5, max=100`: seconds. Null when it says nothing of it. */
function idleTime(keepAlive: string): number | null {
  const seconds = /timeout=(\d{1,6})/i.exec(keepAlive)?.[1]
  return seconds === undefined ? null : Number(seconds) * 1000
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code })
}
