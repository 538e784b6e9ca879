import { HolonError } from '../../core/errors.ts'
import type { ByteSource } from '../byte-source.ts'

/** A vocabulary of 262,144 tokens takes 15 MB; a header beyond this is a mistake or an attack. */
export const maxHeaderBytes = 128 * 1024 * 1024

/**
 * Walks a byte source forwards, a chunk in memory at a time. Every length is checked against what is left before
 * anything is allocated: a file that claims 2^60 tensors costs nothing. `take` is awaited only when the buffer runs
 * dry, because a vocabulary is a million small reads.
 */
export class GgufCursor {
  private readonly source: ByteSource
  private buffer: Uint8Array = new Uint8Array(0)
  private view: DataView = new DataView(new ArrayBuffer(0))
  private bufferStart = 0
  private at = 0

  constructor(source: ByteSource) {
    this.source = source
  }

  /** Bytes from the start of the source. */
  get offset(): number {
    return this.bufferStart + this.at
  }

  /** Bytes that may still be read: what the source has, within the bound on headers. */
  get remaining(): number {
    return Math.min(this.source.size ?? Number.MAX_SAFE_INTEGER, maxHeaderBytes) - this.offset
  }

  fail(what: string): HolonError {
    return new HolonError('model_file_invalid', `${this.source.name} is no usable GGUF: ${what}.`)
  }

  /** Makes sure that `length` bytes can be taken from the buffer. */
  async need(length: number, what: string): Promise<void> {
    if (this.buffer.length - this.at >= length) return
    if (length > this.remaining) throw this.short(length, what)
    const start = this.offset
    const wanted = Math.min(Math.max(length, this.source.chunkBytes), Math.max(length, this.remaining))
    this.buffer = await this.source.read(start, wanted)
    this.view = new DataView(this.buffer.buffer, this.buffer.byteOffset, this.buffer.length)
    this.bufferStart = start
    this.at = 0
    if (this.buffer.length < length) throw this.short(length, what)
  }

  /** True when `length` bytes are in the buffer, so that a tight loop can skip the await. */
  has(length: number): boolean {
    return this.buffer.length - this.at >= length
  }

  /** Moves on without reading. @throws HolonError when that is past the end */
  skip(length: number, what: string): void {
    if (length > this.remaining) throw this.short(length, what)
    if (length <= this.buffer.length - this.at) {
      this.at += length
      return
    }
    this.bufferStart = this.offset + length
    this.buffer = new Uint8Array(0)
    this.at = 0
  }

  // The takers below are for bytes that `need` has made sure of.

  takeBytes(length: number): Uint8Array {
    const bytes = this.buffer.subarray(this.at, this.at + length)
    this.at += length
    return bytes
  }

  takeView(length: number): { view: DataView; at: number } {
    const at = this.at
    this.at += length
    return { view: this.view, at }
  }

  async uint32(what: string): Promise<number> {
    await this.need(4, what)
    const { view, at } = this.takeView(4)
    return view.getUint32(at, true)
  }

  /** A count or length. @throws HolonError when it is beyond 2^53, which no real file has */
  async uint64(what: string): Promise<number> {
    await this.need(8, what)
    return this.takeUint64(what)
  }

  takeUint64(what: string): number {
    const { view, at } = this.takeView(8)
    const high = view.getUint32(at + 4, true)
    if (high > 0x1fffff) throw this.fail(`${what} at byte ${this.offset - 8} is absurdly large`)
    return high * 2 ** 32 + view.getUint32(at, true)
  }

  private short(length: number, what: string): HolonError {
    const at = `at byte ${this.offset}`
    if (this.source.size !== null && this.offset + length > this.source.size) {
      return this.fail(`it ends inside ${what} ${at} (the file has ${this.source.size} bytes)`)
    }
    if (this.offset + length > maxHeaderBytes) {
      return this.fail(`${what} ${at} would make the header larger than ${maxHeaderBytes} bytes`)
    }
    return this.fail(`it ends inside ${what} ${at}`)
  }
}
