/**
 * One process of the wire bench. As `engine` it echoes small messages and swallows large ones, as `llama` it answers a
 * token's request as llama.cpp's worker does; as `worker` it lets a peer
 * through to the engine; as `head` it offers a local port that leads there. `plain` relays do the same without TLS.
 * Told by IPC what it needs; tells its port, and its CPU time when asked.
 */
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { silentLog } from '../core/log.ts'
import { socketBuffer } from '../pool/wire/limits.ts'
import { relay } from '../pool/wire/relay.ts'
import { openWire } from '../pool/wire/wire.ts'
import { bytesOf, tokenAnswer, tokenRequest } from './wire-exchange.ts'

export type Role =
  | { role: 'engine' }
  | { role: 'llama' }
  | { role: 'worker' | 'head'; way: 'plain' | 'encrypted'; to: number; secret: string }

const socketOptions = { allowHalfOpen: true, noDelay: true, highWaterMark: socketBuffer } as const
/** Everything up to this length is a message to be echoed. */
const small = 64

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as { port: number }).port
}

function engine(): Promise<number> {
  const serve = (socket: Socket): void => {
    let bytes = 0
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      if (bytes === 0 && chunk.length <= small) socket.write(chunk)
      else bytes += chunk.length
    })
    socket.on('end', () => socket.end(String(bytes)))
  }
  return listen(createServer(socketOptions, serve))
}

function llama(): Promise<number> {
  const serve = (socket: Socket): void => {
    let due = bytesOf(tokenRequest)
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      due -= chunk.length
      if (due > 0) return
      due += bytesOf(tokenRequest)
      for (const piece of tokenAnswer) socket.write(piece)
    })
  }
  return listen(createServer(socketOptions, serve))
}

function plainRelay(to: number): Promise<number> {
  const end = (socket: Socket) => ({ socket, drop: () => void socket.destroy() })
  return listen(
    createServer(socketOptions, (socket) => {
      const next = connect({ ...socketOptions, host: '127.0.0.1', port: to })
      relay(end(socket), end(next), () => undefined)
    }),
  )
}

async function encrypted({ role, to, secret }: Extract<Role, { way: string }>): Promise<number> {
  const [rank, peer] = role === 'worker' ? [1, 0] : [0, 1]
  const host = role === 'worker' ? '127.0.0.1' : null
  const wire = await openWire({
    spec: { launch: 'bench', rank, wire: { host, mode: 'encrypted', peers: [{ rank: peer, secret }] } },
    log: silentLog,
  })
  if (role === 'worker') {
    wire.offer('bench', to)
    return wire.listening?.port ?? 0
  }
  await wire.connect([{ rank: 1, host: '127.0.0.1', port: to }], new AbortController().signal)
  return (await wire.wayTo(1, 'bench')).port
}

function begin(said: Role): Promise<number> {
  if (said.role === 'engine') return engine()
  if (said.role === 'llama') return llama()
  return said.way === 'plain' ? plainRelay(said.to) : encrypted(said)
}

process.on('message', async (said: Role | 'cpu') => {
  if (said === 'cpu') {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuS: (user + system) / 1e6 })
  } else process.send?.({ port: await begin(said) })
})
process.on('disconnect', () => process.exit(0))
