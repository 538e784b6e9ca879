/** Measures the way to a machine that awaits it: what one TCP stream carries, how long a small message takes, and by which interface. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { z } from 'zod'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { readJsonLines } from '../../core/lines.ts'
import { median } from '../../core/median.ts'
import { MiB } from '../../core/units.ts'
import { readInterfaces } from '../../profile/links/interfaces.ts'
import type { LinkProbe, NetworkInterface } from '../../protocol/pool.ts'
import { dialSecure } from '../wire/dial.ts'
import { readSecret } from '../wire/secret.ts'
import { pingBytes, pings, probeIdentity } from './probe-terms.ts'

const sendMs = 1_000
/** A second at 4 Gbit/s; faster links are done sooner. */
const mostBytes = 512 * MiB
const wholeMs = 20_000
const maxLine = 200

const ticketLine = z.object({ port: z.number().int().min(1).max(65_535), ticket: z.string().max(64) })
const resultLine = z.object({ bytes: z.number().nonnegative(), ms: z.number().nonnegative() })

/** @throws HolonError link_probe_failed; the signal's reason */
export async function probe(
  to: { host: string; port: number; secret: string },
  signal: AbortSignal,
): Promise<LinkProbe> {
  const inTime = AbortSignal.any([signal, AbortSignal.timeout(wholeMs)])
  const ends: (() => void)[] = []
  // A connection that is only closed, without an error, would leave whoever waits for its next bytes waiting for ever.
  const end = (): void => {
    for (const each of ends.splice(0)) each()
  }
  inTime.addEventListener('abort', end, { once: true })
  try {
    const { host, port } = to
    const secret = readSecret(to.secret)
    const dialled = await dialSecure({
      ...{ host, port, secret, identity: probeIdentity, timeoutMs: 5_000, signal: inTime },
    })
    ends.push(dialled.drop)
    const { port: sink, ticket } = ticketLine.parse(await firstLine(dialled.socket))
    inTime.throwIfAborted()
    const socket = connect({ host, port: sink, noDelay: true, allowHalfOpen: true })
    socket.on('error', () => undefined)
    ends.push(() => socket.destroy(new Error('the measurement is over')))
    await once(socket, 'connect')
    socket.write(Buffer.from(ticket, 'base64url'))
    const times = await ping(socket)
    const rttMs = median(times)
    const high = times.sort((a, b) => a - b)[Math.floor(times.length * 0.95)] ?? rttMs
    const { bytes, ms } = await send(socket)
    return {
      via: await interfaceOf(socket.localAddress ?? ''),
      throughputBytesS: ms > 0 ? (bytes / ms) * 1000 : 0,
      rttMs,
      jitterMs: Math.max(0, high - rttMs),
    }
  } catch (thrown) {
    signal.throwIfAborted()
    const why = inTime.aborted ? `it took longer than ${wholeMs / 1000} s` : reasonOf(thrown)
    throw new HolonError('link_probe_failed', `The way to ${to.host} could not be measured: ${why}.`, {
      cause: thrown,
    })
  } finally {
    inTime.removeEventListener('abort', end)
    end()
  }
}

/** Milliseconds of each round trip, one after the other. */
async function ping(socket: Socket): Promise<number[]> {
  const times: number[] = []
  const message = Buffer.alloc(pingBytes)
  const hungUp = (): void => void socket.destroy(new Error('the other end hung up'))
  socket.once('end', hungUp)
  for (let count = 0; count < pings; count++) {
    const sentAt = performance.now()
    socket.write(message)
    for (let heard = 0; heard < pingBytes; ) {
      const [chunk] = (await once(socket, 'data')) as [Buffer]
      heard += chunk.length
    }
    times.push(performance.now() - sentAt)
  }
  socket.off('end', hungUp)
  return times
}

/** Sends for a while; what the other end counted, by its own clock. */
async function send(socket: Socket): Promise<{ bytes: number; ms: number }> {
  const piece = Buffer.alloc(MiB, 0x5a)
  const until = performance.now() + sendMs
  let sent = 0
  while (sent < mostBytes && performance.now() < until) {
    sent += piece.length
    if (!socket.write(piece)) await drained(socket)
  }
  socket.end()
  return resultLine.parse(await firstLine(socket))
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      socket.off('drain', settle)
      socket.off('close', settle)
      if (socket.destroyed) reject(new Error('the connection broke'))
      else resolve()
    }
    socket.on('drain', settle)
    socket.on('close', settle)
  })
}

async function firstLine(socket: AsyncIterable<Uint8Array>): Promise<unknown> {
  const { done, value } = await readJsonLines(socket, maxLine).next()
  if (done) throw new Error('the other end hung up')
  return value
}

async function interfaceOf(address: string): Promise<NetworkInterface> {
  const plain = address.replace(/^::ffff:/, '')
  const known = (await readInterfaces()).find((each) => each.address === plain)
  if (known) return known
  const kind = /^127\.|^::1$/.test(plain) ? 'loopback' : 'other'
  return { name: 'unknown', address: plain, prefix: null, kind, lineBitS: null }
}

const reasonOf = (thrown: unknown): string => asHolonError(thrown).message.replace(/\.$/, '')
