/**
 * Cancels streams without losing the tunnel over it. nghttp2 on the node takes 1,000 RST_STREAM at once and 33 per second
 * (its defence against "rapid reset", CVE-2023-44487) and ends the whole session beyond that; Node 20 offers no way to
 * set it otherwise. People do cancel answers, so beyond a budget the hub asks the node, in one request for many streams,
 * to reset them itself: resets in that direction are not counted.
 */
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from 'node:http2'
import type { Clock } from '../core/clock.ts'
import type { FrameGuard } from './frame-guard.ts'
import { cancelBurst, cancelsPerS } from './limits.ts'
import { TokenBucket } from './token-bucket.ts'
import { cancelPath } from './wire.ts'

/** Cancels that come within this time travel together. Milliseconds. */
const gatherMs = 5

export class Canceller {
  private readonly h2: ClientHttp2Session
  private readonly guard: FrameGuard
  private readonly clock: Clock
  private readonly budget = new TokenBucket(cancelBurst, cancelsPerS)
  private readonly asked = new Set<ClientHttp2Stream>()
  private gathered: number[] = []

  constructor(h2: ClientHttp2Session, guard: FrameGuard, clock: Clock) {
    this.h2 = h2
    this.guard = guard
    this.clock = clock
  }

  /** Streams whose reset was asked for and has not come. */
  get lingering(): number {
    return this.asked.size
  }

  cancel(stream: ClientHttp2Stream): void {
    if (stream.destroyed) return
    stream.on('error', () => undefined)
    if (stream.id !== undefined && !this.budget.take(this.clock.now())) this.askFor(stream, stream.id)
    else if (stream.writableEnded) stream.close(constants.NGHTTP2_CANCEL)
    // Closing would end the upload properly before it resets the stream: half a body would pass for a whole one.
    else stream.destroy(new Error('cancelled'))
    // What is buffered must run off, or the stream waits for a reader and never closes.
    stream.resume()
  }

  private askFor(stream: ClientHttp2Stream, id: number): void {
    this.asked.add(stream)
    stream.once('close', () => this.asked.delete(stream))
    this.gathered.push(id)
    if (this.gathered.length === 1) this.clock.after(gatherMs, () => this.ask())
  }

  private ask(): void {
    const ids = this.gathered
    this.gathered = []
    if (this.h2.destroyed || this.h2.closed) return
    const stream = this.h2.request({
      ':method': 'POST',
      ':path': cancelPath,
      ':authority': 'node',
      ':scheme': 'http',
    })
    this.guard.open(stream.id ?? 0)
    stream.on('error', () => undefined)
    stream.on('close', () => this.guard.forget(stream.id ?? 0))
    stream.resume()
    stream.end(ids.join(' '))
  }
}
