/**
 * Cuts a stream of server-sent events at event boundaries. Chunks that end with an event, as nearly all do, pass
 * untouched; the rest of an unfinished event is held back until it is whole. So an engine that dies in the middle of
 * an event never leaves half a JSON before the error event, which makes clients fail on the half instead.
 */
const newline = 0x0a
const carriageReturn = 0x0d

/** An event longer than this is passed on in pieces rather than held. */
const maxHeldBytes = 1024 * 1024

export class EventCut {
  private held: Buffer[] = []
  private heldBytes = 0
  /** The two bytes before the next chunk: a boundary may lie across chunks. */
  private last = 0
  private beforeLast = 0

  /** What may be passed on now; null when the chunk only continues an event. */
  push(chunk: Buffer): Buffer | null {
    const end = this.boundaryIn(chunk)
    this.remember(chunk)
    if (this.heldBytes === 0 && end === chunk.length) return chunk
    const cut = end === 0 && this.heldBytes + chunk.length > maxHeldBytes ? chunk.length : end
    if (cut === 0) {
      this.held.push(chunk)
      this.heldBytes += chunk.length
      return null
    }
    const ready = chunk.subarray(0, cut)
    const whole = this.heldBytes === 0 ? ready : Buffer.concat([...this.held, ready], this.heldBytes + cut)
    this.held = cut === chunk.length ? [] : [chunk.subarray(cut)]
    this.heldBytes = chunk.length - cut
    return whole
  }

  /** True when bytes of an unfinished event are held. */
  get unfinished(): boolean {
    return this.heldBytes > 0
  }

  /** Index after the last blank line that ends in this chunk, 0 when none does. */
  private boundaryIn(chunk: Buffer): number {
    for (
      let at = chunk.lastIndexOf(newline);
      at >= 0;
      at = at === 0 ? -1 : chunk.lastIndexOf(newline, at - 1)
    ) {
      const before = this.byteAt(chunk, at - 1)
      if (before === newline) return at + 1
      if (before === carriageReturn && this.byteAt(chunk, at - 2) === newline) return at + 1
    }
    return 0
  }

  private byteAt(chunk: Buffer, index: number): number {
    if (index >= 0) return chunk[index]!
    return index === -1 ? this.last : this.beforeLast
  }

  private remember(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.beforeLast = chunk.length > 1 ? chunk[chunk.length - 2]! : this.last
    this.last = chunk[chunk.length - 1]!
  }
}
