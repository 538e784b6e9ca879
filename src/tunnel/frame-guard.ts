/**
 * Walks over the HTTP/2 frame headers (RFC 9113, section 4.1) that a node sends, without touching what they carry, and
 * says when the node misbehaves in ways that nghttp2 would patiently serve: floods of SETTINGS, PING, empty or
 * meaningless frames, push promises, a frame begun and never finished. It also remembers which streams were ended by
 * the node, because Node reports a stream that was merely reset with NO_ERROR as if it had ended: half an answer would
 * pass for a whole one.
 */
import { TokenBucket } from './token-bucket.ts'

const type = { data: 0, headers: 1, rst: 3, settings: 4, push: 5, ping: 6 } as const
const endStream = 0x1
const headBytes = 9

/** Answers take one or two header frames and at most one reset; the rest is room. */
const framesPerStream = 6
const framesForFree = 64

export class FrameGuard {
  private readonly settings = new TokenBucket(16, 1)
  private readonly pings = new TokenBucket(32, 5)
  /** Window updates of a fast upload come to some hundreds per second. */
  private readonly others = new TokenBucket(8_192, 2_000)
  private readonly head = Buffer.alloc(headBytes)
  private headFill = 0
  private payloadLeft = 0
  private partialSince: number | null = null
  private opened = 0
  private streamFrames = 0
  /** Open streams, and whether the node has ended them. */
  private readonly streams = new Map<number, boolean>()

  /** A request was sent on this stream. */
  open(streamId: number): void {
    this.opened += 1
    this.streams.set(streamId, false)
  }

  /** True when the node itself ended the stream, rather than breaking it off. */
  sawEnd(streamId: number): boolean {
    return this.streams.get(streamId) === true
  }

  forget(streamId: number): void {
    this.streams.delete(streamId)
  }

  /** Milliseconds since a frame was begun that is not complete; 0 between frames. */
  partialMs(nowMs: number): number {
    return this.partialSince === null ? 0 : nowMs - this.partialSince
  }

  /** This end did not read, so an incomplete frame is no fault of the node: its time starts anew. */
  excuse(nowMs: number): void {
    if (this.partialSince !== null) this.partialSince = nowMs
  }

  /** Takes the next bytes; a sentence when the node broke a rule. */
  feed(bytes: Buffer, nowMs: number): string | null {
    let at = 0
    while (at < bytes.length) {
      if (this.payloadLeft > 0) {
        const skipped = Math.min(this.payloadLeft, bytes.length - at)
        this.payloadLeft -= skipped
        at += skipped
      } else {
        const taken = Math.min(headBytes - this.headFill, bytes.length - at)
        bytes.copy(this.head, this.headFill, at, at + taken)
        if (this.headFill === 0) this.partialSince = nowMs
        this.headFill += taken
        at += taken
        if (this.headFill < headBytes) break
        this.headFill = 0
        this.payloadLeft = this.head.readUIntBE(0, 3)
        const fault = this.judge(nowMs)
        if (fault !== null) return fault
      }
      if (this.payloadLeft === 0) this.partialSince = null
    }
    return null
  }

  private judge(nowMs: number): string | null {
    const kind = this.head[3]
    const flags = this.head[4]!
    if (kind === type.data || kind === type.headers) {
      const ends = (flags & endStream) !== 0
      if (ends) {
        const streamId = this.head.readUInt32BE(5) & 0x7fffffff
        if (this.streams.has(streamId)) this.streams.set(streamId, true)
      }
      if (kind === type.data) {
        const meaningless = this.payloadLeft === 0 && !ends
        return meaningless && !this.others.take(nowMs) ? 'it floods the tunnel with empty frames' : null
      }
    }
    if (kind === type.headers || kind === type.rst) {
      this.streamFrames += 1
      const most = framesForFree + framesPerStream * this.opened
      return this.streamFrames > most ? 'it sends more answers and resets than there were requests' : null
    }
    if (kind === type.push) return 'it tried to push what nobody asked for'
    if (kind === type.settings) return this.settings.take(nowMs) ? null : 'it floods the tunnel with SETTINGS'
    if (kind === type.ping) return this.pings.take(nowMs) ? null : 'it floods the tunnel with PING'
    return this.others.take(nowMs) ? null : 'it floods the tunnel with control frames'
  }
}
