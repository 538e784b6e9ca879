/**
 * The end that is probed. The prober shows the secret over TLS; then a second port opens for one plain connection, since
 * the line is to be measured and not this processor's cipher. What travels there means nothing.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type Server, type Socket } from 'node:net'
import { jsonLine } from '../../core/lines.ts'
import { bind, listenSecure } from '../wire/listen.ts'
import { readSecret } from '../wire/secret.ts'
import { pingBytes, pings, probeIdentity, ticketBytes } from './probe-terms.ts'

const waitMs = 60_000
const handshakeMs = 5_000
/** One probe lasts some seconds; a prober that stalls is let go. */
const probeMs = 20_000

/** @throws HolonError pool_wire_failed when the address cannot be listened on; the signal's reason */
export async function awaitProbe(
  at: { host: string; secret: string },
  signal: AbortSignal,
): Promise<{ port: number }> {
  signal.throwIfAborted()
  const secret = readSecret(at.secret)
  const ends: (() => void)[] = []
  const end = (): void => {
    clearTimeout(timer)
    signal.removeEventListener('abort', end)
    for (const each of ends.splice(0)) each()
  }
  const listener = await listenSecure({
    host: at.host,
    handshakeMs,
    secretOf: (identity) => (identity === probeIdentity ? secret : null),
    onPeer: (socket, _, drop) => {
      // One prober, once.
      listener.close()
      ends.push(drop)
      socket.once('close', end)
      setTimeout(end, probeMs).unref()
      void offerSink(at.host, ends).then(
        (ticket) => socket.write(jsonLine(ticket)),
        () => end(),
      )
    },
  })
  ends.push(() => listener.close())
  const timer = setTimeout(end, waitMs)
  signal.addEventListener('abort', end, { once: true })
  return { port: listener.port }
}

/** A port for one connection that shows the ticket. */
async function offerSink(host: string, ends: (() => void)[]): Promise<{ port: number; ticket: string }> {
  const ticket = randomBytes(ticketBytes)
  const server: Server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    ends.push(() => socket.destroy())
    socket.on('error', () => undefined)
    serveSink(socket, ticket, () => server.close())
  })
  // A stranger who takes the place spoils a measurement, no more; a few may try before the prober comes.
  server.maxConnections = 8
  ends.push(() => server.close())
  return { port: await bind(server, host), ticket: ticket.toString('base64url') }
}

/** First the ticket, then pings to be echoed, then whatever comes until its end; the answer is how much and how long. */
function serveSink(socket: Socket, ticket: Buffer, admitted: () => void): void {
  let held: Buffer = Buffer.alloc(0)
  let echoed = -1
  let bytes = 0
  let from = 0
  let last = 0
  socket.on('data', (chunk: Buffer) => {
    if (echoed === pings) {
      last = performance.now()
      if (bytes === 0) from = last
      bytes += chunk.length
      return
    }
    held = Buffer.concat([held, chunk])
    if (echoed === -1) {
      if (held.length < ticketBytes) return
      if (!timingSafeEqual(held.subarray(0, ticketBytes), ticket)) {
        socket.destroy()
        return
      }
      admitted()
      held = held.subarray(ticketBytes)
      echoed = 0
    }
    while (echoed < pings && held.length >= pingBytes) {
      socket.write(held.subarray(0, pingBytes))
      held = held.subarray(pingBytes)
      echoed += 1
    }
  })
  socket.once('end', () => socket.end(jsonLine({ bytes, ms: last - from })))
}
