/** Wires between members of a pool on loopback, engines that are a few lines, and their end after each test. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { silentLog } from '../../src/core/log.ts'
import { openWire, type Wire, type WireOptions } from '../../src/pool/wire/wire.ts'
import type { PartSpec } from '../../src/protocol/pool.ts'

export const newSecret = (): string => randomBytes(32).toString('base64url')
export const signal = new AbortController().signal
/** What a test leaves behind, ended in the other order after it. */
export const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** An engine: what it does with a connection, on a loopback port. */
export async function engine(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined)
    serve(socket)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => server.close())
  return { port: (server.address() as { port: number }).port, server }
}

/** Resolves when the socket is closed, however; what still came is not looked at. */
export function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  socket.resume()
  return new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
}

export const wireOf = (
  rank: number,
  host: string | null,
  peers: [number, string][],
  mode: 'encrypted' | 'isolated',
) => ({
  launch: 'launch_1',
  rank,
  wire: { host, mode, peers: peers.map(([peer, secret]) => ({ rank: peer, secret })) },
})

export async function open(
  spec: Pick<PartSpec, 'launch' | 'rank' | 'wire'>,
  timing: WireOptions['timing'] = {},
): Promise<Wire> {
  const wire = await openWire({ spec, log: silentLog, timing })
  ends.push(() => wire.close())
  return wire
}

/** A head and a worker that listens, connected. */
export async function pair(
  options: { mode?: 'encrypted' | 'isolated'; timing?: WireOptions['timing'] } = {},
): Promise<{ head: Wire; worker: Wire; secret: string; port: number }> {
  const { mode = 'encrypted', timing } = options
  const secret = newSecret()
  const worker = await open(wireOf(1, '127.0.0.2', [[0, secret]], mode), timing)
  const head = await open(wireOf(0, null, [[1, secret]], mode), timing)
  const { host, port } = worker.listening!
  await head.connect([{ rank: 1, host, port }], signal)
  return { head, worker, secret, port }
}

export async function way(wire: Wire, channel = 'rpc', rank = 1): Promise<Socket> {
  const socket = connect({ ...(await wire.wayTo(rank, channel)), allowHalfOpen: true })
  socket.on('error', () => undefined)
  ends.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Everything until the end. Not by `for await`, which would close the way back as well. */
export function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    socket.once('end', () => resolve(Buffer.concat(chunks)))
    socket.once('error', reject)
  })
}
