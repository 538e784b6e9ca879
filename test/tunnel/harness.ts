/** A hub's end and nodes' ends of the tunnel in one process, over real sockets on loopback. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { HolonError } from '../../src/core/errors.ts'
import type { Log } from '../../src/core/log.ts'
import { type AcceptOptions, createTunnelAcceptor, type TunnelAcceptor } from '../../src/tunnel/accept.ts'
import { type DialOptions, dialHub, type TunnelDialer } from '../../src/tunnel/dial.ts'
import type { TunnelHandler } from '../../src/tunnel/node-handler.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'

export interface TestHub {
  url: string
  port: number
  server: Server
  acceptor: TunnelAcceptor
  /** What it logged at `warn` and `error`. */
  lines: string[]
  /** The next session that opens. */
  next(): Promise<TunnelSession>
  close(): Promise<void>
}

/** Credentials are `key-<node id>`; `revoked` ids are turned away for good. */
export async function startHub(
  options: Partial<AcceptOptions> & { revoked?: Set<string> } = {},
): Promise<TestHub> {
  const lines: string[] = []
  const waiting: ((session: TunnelSession) => void)[] = []
  const early: TunnelSession[] = []
  const acceptor = createTunnelAcceptor({
    hubVersion: '0.1.0-test',
    log: recorder(lines),
    authenticate: async (hello) => {
      const id = hello.credential.replace(/^key-/, '')
      if (options.revoked?.has(id)) throw new HolonError('tunnel_revoked', `Node ${id} was revoked.`)
      if (id === hello.credential) throw new HolonError('tunnel_refused', 'The credential is not known.')
      return { nodeId: id }
    },
    ...options,
    onSession: (session) => {
      options.onSession?.(session)
      const taker = waiting.shift()
      if (taker) taker(session)
      else early.push(session)
    },
  })
  // Node looks for slow handshakes every 30 seconds unless told otherwise.
  const server = createServer({ connectionsCheckingInterval: 50 }, (_, response) =>
    response.writeHead(404).end(),
  )
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  server.on('upgrade', acceptor.upgrade)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    acceptor,
    lines,
    next: () => {
      const session = early.shift()
      return session ? Promise.resolve(session) : new Promise((resolve) => waiting.push(resolve))
    },
    close: async () => {
      acceptor.close()
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export function recorder(lines: string[]): Log {
  const push = (fields: object, message: string) => void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { debug: () => undefined, info: () => undefined, warn: push, error: push }
}

export const echo: TunnelHandler = async (request, response) => {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  response.setHeader('x-path', request.url)
  response.end(Buffer.concat(chunks))
}

export function dialTo(
  hub: { url: string },
  nodeId: string,
  options: Partial<DialOptions> = {},
): TunnelDialer {
  return dialHub({
    hubUrl: hub.url,
    nodeId,
    agentVersion: '0.1.0-test',
    credential: () => `key-${nodeId}`,
    handler: echo,
    reconnect: { baseMs: 20, maxMs: 100 },
    ...options,
  })
}

/** Polls a condition; fails with `what` after ten seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const end = Date.now() + 10_000
  while (!condition()) {
    if (Date.now() > end) throw new Error(`never happened: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
