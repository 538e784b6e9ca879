/** The last bytes of a stream, in a fixed amount of memory: what the meter and the end-of-stream check look at. */
export class ByteTail {
  private readonly size: number
  private buffer: Buffer
  private length = 0

  constructor(size: number) {
    this.size = size
    this.buffer = Buffer.allocUnsafe(size * 2)
  }

  push(chunk: Buffer): void {
    if (chunk.length >= this.size) {
      chunk.copy(this.buffer, 0, chunk.length - this.size)
      this.length = this.size
      return
    }
    if (this.length + chunk.length > this.buffer.length) {
      // Full: keep the last `size` bytes. Happens once per `size` bytes, so each byte is moved at most once on average.
      this.buffer.copyWithin(0, this.length - this.size, this.length)
      this.length = this.size
    }
    chunk.copy(this.buffer, this.length)
    this.length += chunk.length
  }

  /** A view; valid until the next push. */
  bytes(): Buffer {
    return this.buffer.subarray(Math.max(0, this.length - this.size), this.length)
  }
}
