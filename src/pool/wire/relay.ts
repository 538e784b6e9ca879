/**
 * Two sockets as one: bytes both ways, an end passed on as an end (the other way stays open), and a break as a break on
 * both. What one side is slow to take is held here, some megabytes of it: while an engine that loads a model works out
 * the fingerprint of its next tensor, the wire still carries the last one.
 */
import type { Duplex } from 'node:stream'
import { maxHeld, maxWrite } from './limits.ts'

export interface RelayEnd {
  socket: Duplex
  /** Ends it so that the other side sees a break. */
  drop(): void
}

/** Knows the engine's protocol: looks at what a peer says, and may answer for the engine. */
export interface Reader {
  /** @returns what goes on to the engine, and what goes back to the peer at once */
  read(piece: Buffer): { on: readonly Buffer[]; back: Buffer | null }
}

/** @param reader looks at what goes from `b` to `a` */
export function relay(a: RelayEnd, b: RelayEnd, done: () => void, reader: Reader | null = null): void {
  let open = 2
  const join = (from: RelayEnd, to: RelayEnd, read: Reader | null): void => {
    from.socket.once('close', () => {
      if (!from.socket.readableEnded || !from.socket.writableFinished) to.drop()
      open -= 1
      if (open === 0) done()
    })
    from.socket.on('error', () => to.drop())
    new Flow(from.socket, to.socket, read).begin()
  }
  join(a, b, null)
  join(b, a, reader)
}

/** What TLS gives of a long message, piece by piece: the next one is there before this turn of the event loop is over. */
const fullRecord = 16_384

/**
 * One way. TLS reads 16 KiB at a time, and a system call for each costs a quarter of what the wire costs, so small pieces
 * are written together. A large one goes alone, and no more than one write is under way: TLS copies what it gets in
 * several pieces, and encrypts all that it is given at once, in memory of its own.
 */
class Flow {
  private readonly from: Duplex
  private readonly to: Duplex
  private readonly reader: Reader | null
  private readonly held: Buffer[] = []
  private heldBytes = 0
  private writing = false
  private planned = false
  private ended = false

  constructor(from: Duplex, to: Duplex, reader: Reader | null) {
    this.from = from
    this.to = to
    this.reader = reader
  }

  begin(): void {
    this.from.on('data', (piece: Buffer) => this.look(piece))
    this.from.once('end', () => {
      this.ended = true
      this.pass()
    })
    this.from.resume()
  }

  private look(piece: Buffer): void {
    if (this.reader === null) {
      this.take(piece)
      return
    }
    const { on, back } = this.reader.read(piece)
    for (const each of on) this.take(each)
    if (back !== null && this.from.writable) this.from.write(back)
  }

  private take(piece: Buffer): void {
    this.held.push(piece)
    this.heldBytes += piece.length
    if (this.heldBytes > maxHeld) this.from.pause()
    if (piece.length !== fullRecord) this.pass()
    else if (!this.planned) {
      this.planned = true
      setImmediate(() => {
        this.planned = false
        this.pass()
      })
    }
  }

  private pass(): void {
    if (this.writing) return
    if (this.held.length === 0) {
      if (this.ended) this.to.end()
      return
    }
    const pieces = this.nextWrite()
    this.writing = true
    this.to.cork()
    for (const piece of pieces.slice(0, -1)) this.to.write(piece)
    this.to.write(pieces.at(-1), (error) => this.passed(error ?? null))
    this.to.uncork()
  }

  private passed(error: Error | null): void {
    this.writing = false
    // The other side is gone, and the relay with it.
    if (error !== null) return
    if (this.heldBytes < maxHeld / 2) this.from.resume()
    this.pass()
  }

  private nextWrite(): Buffer[] {
    let bytes = 0
    let count = 0
    for (const { length } of this.held) {
      if (count > 0 && (length > fullRecord || bytes + length > maxWrite)) break
      bytes += length
      count += 1
      if (length > fullRecord) break
    }
    this.heldBytes -= bytes
    return this.held.splice(0, count)
  }
}
