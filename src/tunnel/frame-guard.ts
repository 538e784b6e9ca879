/**
 * Looks at the heads of the HTTP/2 frames that a node sends, not at what they carry, and says when the node misbehaves
 * in ways that nghttp2 would patiently serve: floods of SETTINGS, PING, empty or meaningless frames, push promises, a
 * frame begun and never finished. It also remembers which streams were ended by
 * the node, because Node reports a stream that was merely reset with NO_ERROR as if it had ended: half an answer would
 * pass for a whole one.
 */
import { FrameWalk, frameTypes } from './frame-walk.ts'
import { TokenBucket } from './token-bucket.ts'

const endStream = 0x1

/** Answers take one or two header frames and at most one reset; the rest is room. */
const framesPerStream = 6
const framesForFree = 64

export class FrameGuard {
  private readonly settings = new TokenBucket(16, 1)
  private readonly pings = new TokenBucket(32, 5)
  /** Window updates of a fast upload come to some hundreds per second. */
  private readonly others = new TokenBucket(8_192, 2_000)
  private readonly walk = new FrameWalk((...frame) => this.judge(...frame))
  private fault: string | null = null
  private now = 0
  private begun = 0
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
    this.now = nowMs
    this.walk.feed(bytes)
    if (this.walk.between) this.partialSince = null
    else if (this.walk.begun !== this.begun) this.partialSince = nowMs
    this.begun = this.walk.begun
    return this.fault
  }

  private judge(type: number, flags: number, streamId: number, length: number): void {
    const ends = (flags & endStream) !== 0 && (type === frameTypes.data || type === frameTypes.headers)
    if (ends && this.streams.has(streamId)) this.streams.set(streamId, true)
    this.fault ??= this.faultIn(type, ends, length)
  }

  private faultIn(type: number, ends: boolean, length: number): string | null {
    if (type === frameTypes.data) {
      if (length > 0 || ends || this.others.take(this.now)) return null
      return 'it floods the tunnel with empty frames'
    }
    if (type === frameTypes.headers || type === frameTypes.rst) {
      this.streamFrames += 1
      const most = framesForFree + framesPerStream * this.opened
      return this.streamFrames > most ? 'it sends more answers and resets than there were requests' : null
    }
    if (type === frameTypes.push) return 'it tried to push what nobody asked for'
    if (type === frameTypes.settings)
      return this.settings.take(this.now) ? null : 'it floods the tunnel with SETTINGS'
    if (type === frameTypes.ping) return this.pings.take(this.now) ? null : 'it floods the tunnel with PING'
    return this.others.take(this.now) ? null : 'it floods the tunnel with control frames'
  }
}
