/**
 * Two sockets as one: bytes both ways with pause and resume, an end passed on as an end (the other way stays open), and
 * a break as a break on both.
 */
import type { Duplex } from 'node:stream'

export interface RelayEnd {
  socket: Duplex
  /** Ends it so that the other side sees a break. */
  drop(): void
}

export function relay(a: RelayEnd, b: RelayEnd, done: () => void): void {
  let open = 2
  const join = (from: RelayEnd, to: RelayEnd): void => {
    from.socket.once('close', () => {
      if (!from.socket.readableEnded || !from.socket.writableFinished) to.drop()
      open -= 1
      if (open === 0) done()
    })
    from.socket.on('error', () => to.drop())
    from.socket.pipe(to.socket)
  }
  join(a, b)
  join(b, a)
}
