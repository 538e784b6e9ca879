/**
 * A WebSocket as a byte stream for Node's HTTP/2. ws has one of its own, but that takes text frames for bytes and sends
 * every HTTP/2 frame as a message; here frames written together travel together, and text ends the connection.
 */
import { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import { messageBytes } from './limits.ts'

export interface DuplexWatch {
  /** A whole binary message arrived; called before its bytes are handed on. */
  arrived(bytes: Buffer): void
  /** The peer sent a text message. */
  text(): void
  /** Bytes are about to be sent. */
  leaving(bytes: Buffer): void
}

export class WebSocketDuplex extends Duplex {
  bytesOut = 0
  private readonly ws: WebSocket
  private readonly watch: DuplexWatch
  private waitingSince: number | null = null

  constructor(ws: WebSocket, watch: DuplexWatch) {
    super({ allowHalfOpen: false, highWaterMark: 64 * 1024 })
    this.ws = ws
    this.watch = watch
    ws.on('message', (data, isBinary) => this.receive(data, isBinary))
  }

  /** Milliseconds, by `performance.now()`, for which the oldest unsent message has waited; 0 when none does. */
  get writeStalledMs(): number {
    return this.waitingSince === null ? 0 : performance.now() - this.waitingSince
  }

  override _read(): void {
    if (this.ws.isPaused) this.ws.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    this.send(chunk, done)
  }

  override _writev(chunks: { chunk: Buffer }[], done: (error?: Error | null) => void): void {
    let batch: Buffer[] = []
    let size = 0
    let waiting = 1
    let failure: Error | null = null
    const sent = (error?: Error | null) => {
      failure ??= error ?? null
      waiting -= 1
      if (waiting === 0) done(failure)
    }
    const flush = () => {
      if (size === 0) return
      waiting += 1
      this.send(batch.length === 1 ? batch[0]! : Buffer.concat(batch, size), sent)
      batch = []
      size = 0
    }
    for (const { chunk } of chunks) {
      if (size + chunk.length > messageBytes) flush()
      batch.push(chunk)
      size += chunk.length
    }
    flush()
    sent()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.waitingSince = null
    done(error)
  }

  private receive(data: RawData, isBinary: boolean): void {
    if (this.destroyed) return
    if (!isBinary) {
      this.watch.text()
      return
    }
    const bytes = data as Buffer
    this.watch.arrived(bytes)
    if (!this.destroyed && !this.push(bytes)) this.ws.pause()
  }

  /** Sends `bytes` in messages of bounded size and calls back when the socket has taken the last of them. */
  private send(bytes: Buffer, done: (error?: Error | null) => void): void {
    if (this.ws.readyState !== this.ws.OPEN) {
      done(new Error('The WebSocket is closed.'))
      return
    }
    this.bytesOut += bytes.length
    this.watch.leaving(bytes)
    this.waitingSince ??= performance.now()
    for (let at = 0; at < bytes.length; at += messageBytes) {
      const last = at + messageBytes >= bytes.length
      const piece = at === 0 && last ? bytes : bytes.subarray(at, at + messageBytes)
      this.ws.send(piece, (error) => {
        // Progress, even when more waits: what counts is whether the peer takes anything.
        this.waitingSince = this.ws.bufferedAmount > 0 ? performance.now() : null
        if (last) done(error)
      })
    }
  }
}
