/** Walks over HTTP/2 frames (RFC 9113, section 4.1) in a stream of bytes cut anywhere, looking at their heads only. */

export const frameTypes = { data: 0, headers: 1, rst: 3, settings: 4, push: 5, ping: 6, goaway: 7 } as const

const headBytes = 9
/** What an HTTP/2 client sends before its first frame. */
export const prefaceBytes = 24

export type OnFrame = (type: number, flags: number, streamId: number, length: number) => void

export class FrameWalk {
  /** Frames whose first byte was seen. */
  begun = 0
  private readonly onFrame: OnFrame
  private readonly head = Buffer.alloc(headBytes)
  private headFill = 0
  private toSkip: number

  constructor(onFrame: OnFrame, skipBytes = 0) {
    this.onFrame = onFrame
    this.toSkip = skipBytes
  }

  /** True when everything begun is whole. */
  get between(): boolean {
    return this.headFill === 0 && this.toSkip === 0
  }

  feed(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      if (this.toSkip > 0) {
        const skipped = Math.min(this.toSkip, bytes.length - at)
        this.toSkip -= skipped
        at += skipped
        continue
      }
      if (this.headFill === 0) this.begun += 1
      const taken = Math.min(headBytes - this.headFill, bytes.length - at)
      bytes.copy(this.head, this.headFill, at, at + taken)
      this.headFill += taken
      at += taken
      if (this.headFill < headBytes) return
      this.headFill = 0
      this.toSkip = this.head.readUIntBE(0, 3)
      this.onFrame(this.head[3]!, this.head[4]!, this.head.readUInt32BE(5) & 0x7fffffff, this.toSkip)
    }
  }
}
