/**
 * What of llama.cpp's RPC may wait a moment on the wire. A head sends a token's inputs to a worker as some ten messages,
 * each in three pieces (command, size, content), and waits for nothing until the graph is to be computed or a result
 * fetched; a worker answers in two pieces (size, content). Ciphering and sending each by itself cost two milliseconds of
 * processor time for each worker and token. Read in `ggml-rpc.cpp` of protocol version 3: command, one byte; size, eight
 * bytes, least first; content.
 */
import type { MayWait } from '../wire/relay.ts'

/** Content for a tensor: nobody answers it, and nothing begins by it. */
const setTensor = 6
const sizeBytes = 8

/** A head's pieces wait while a message is not whole, and after one that nobody is waiting for. */
export function requestsMayWait(): MayWait {
  const messages = new Messages(1)
  return (piece) => {
    messages.take(piece)
    return messages.inside || messages.command === setTensor
  }
}

/** Only the size of an answer waits, for its content. */
export function answersMayWait(): MayWait {
  const messages = new Messages(0)
  return (piece) => {
    messages.take(piece)
    return messages.inHead
  }
}

/** Follows messages through pieces that are cut anywhere, and keeps nothing of their content. */
class Messages {
  /** Of the message that is under way, or was last. */
  command = 0
  private readonly commandBytes: number
  private headTaken = 0
  private size = 0
  private contentTaken = 0

  /** @param commandBytes 1 for requests, 0 for answers, which begin with their size */
  constructor(commandBytes: 0 | 1) {
    this.commandBytes = commandBytes
  }

  /** The last message is not whole. */
  get inside(): boolean {
    return this.headTaken > 0
  }

  /** And nothing of its content has come. */
  get inHead(): boolean {
    return this.inside && this.contentTaken === 0
  }

  take(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      if (this.headTaken < this.commandBytes + sizeBytes) at += this.takeHead(piece[at] as number)
      else at += this.takeContent(piece.length - at)
    }
  }

  private takeHead(byte: number): number {
    if (this.headTaken < this.commandBytes) this.command = byte
    else this.size += byte * 256 ** (this.headTaken - this.commandBytes)
    this.headTaken += 1
    this.endWhenWhole()
    return 1
  }

  private takeContent(bytes: number): number {
    const taken = Math.min(this.size - this.contentTaken, bytes)
    this.contentTaken += taken
    this.endWhenWhole()
    return taken
  }

  private endWhenWhole(): void {
    if (this.headTaken < this.commandBytes + sizeBytes || this.contentTaken < this.size) return
    this.headTaken = 0
    this.size = 0
    this.contentTaken = 0
  }
}
