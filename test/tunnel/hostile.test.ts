/** What a node may try with the hub. Each is refused or contained, told once, and hurts no other node. */
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import type { TunnelDialer } from '../../src/tunnel/dial.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'
import { closeCodes, subprotocol } from '../../src/tunnel/wire.ts'
import { dialTo, startHub, type TestHub, until } from './harness.ts'
import {
  connectHostile,
  flags,
  frame,
  type HostileNode,
  literal,
  settingsAck,
  status200,
  types,
  upgradeHeaders,
} from './hostile-node.ts'

const timing = { heartbeatMs: 50, silenceMs: 400, writeStallMs: 600, setupMs: 400, probeMs: 200 }
let hub: TestHub
let good: TunnelDialer
let goodSession: TunnelSession

beforeAll(async () => {
  hub = await startHub({ timing })
  good = dialTo(hub, 'good', { timing })
  goodSession = await hub.next()
})
afterAll(async () => {
  await good.stop()
  await hub.close()
})
afterEach(async () => {
  const answer = await goodSession.request({ path: '/', method: 'POST', body: 'still here' })
  expect(await answer.body.text()).toBe('still here')
  hub.lines.length = 0
})

/** A hostile node that the hub took in, and the hub's session with it. */
async function enter(nodeId: string): Promise<HostileNode & { session: TunnelSession }> {
  const node = await connectHostile(hub, nodeId)
  return { ...node, session: await hub.next() }
}

/** Sends a request and resolves with its error; the hostile node acts when the request is there. */
const failing = (session: TunnelSession): Promise<unknown> =>
  session.request({ path: '/', method: 'GET' }).then(
    (answer) => answer.body.text().catch((error: unknown) => error),
    (error: unknown) => error,
  )

const times = (n: number, bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: n }, () => bytes))
const respond = (streamId: number, more: Buffer = Buffer.alloc(0)): Buffer =>
  frame(types.headers, flags.endHeaders, streamId, Buffer.concat([status200, more]))

test('half an HTTP/2 frame and then only heartbeats', async () => {
  const node = await enter('half')
  const error = failing(node.session)
  node.send(respond(1).subarray(0, 5))
  const beat = setInterval(() => node.ws.ping(), 50)
  expect(await node.closed).toMatchObject({
    code: closeCodes.misbehaved,
    reason: expect.stringContaining('never finished'),
  })
  clearInterval(beat)
  expect(await error).toMatchObject({ code: 'tunnel_misbehaved' })
  expect(hub.lines).toHaveLength(1)
})

test('half a WebSocket frame and then silence', async () => {
  const socket = connect(hub.port, '127.0.0.1')
  const head = Object.entries(upgradeHeaders('half-ws')).map(([name, value]) => `${name}: ${value}`)
  socket.write(
    `GET /fleet/v1/tunnel HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\n` +
      `sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n` +
      `sec-websocket-protocol: ${subprotocol(1)}\r\n${head.join('\r\n')}\r\n\r\n`,
  )
  const masked = (bytes: Buffer) => Buffer.concat([Buffer.of(0x82, 0x80 | bytes.length, 0, 0, 0, 0), bytes])
  socket.write(masked(Buffer.concat([frame(types.settings, 0, 0), settingsAck])))
  const session = await hub.next()
  socket.write(Buffer.of(0x82, 0x80 | 126, 0x10, 0x00, 0, 0, 0, 0, 1, 2, 3))
  // Bytes that trickle into a message that never ends are no sign of life.
  const drip = setInterval(() => socket.write('x'), 50)
  expect(await session.closed).toMatchObject({ code: closeCodes.silent, by: 'us' })
  clearInterval(drip)
  socket.destroy()
})

test('a node that opens a tunnel and never speaks HTTP/2', async () => {
  const node = await connectHostile(hub, 'mute', { silent: true })
  const beat = setInterval(() => node.ws.ping(), 50)
  expect(await node.closed).toMatchObject({ code: closeCodes.misbehaved })
  clearInterval(beat)
  expect(hub.acceptor.session('mute')).toBeUndefined()
})

test('garbage instead of HTTP/2', async () => {
  const node = await connectHostile(hub, 'garbage', { silent: true })
  node.send(Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'.repeat(50)))
  expect(await node.closed).toMatchObject({ code: closeCodes.misbehaved })
})

test('a node that never reads costs bounded memory and then its tunnel, though it keeps pinging', async () => {
  const node = await enter('deaf')
  // A window as wide as HTTP/2 allows: the hub's own bounds must hold, not the node's.
  const wide = Buffer.alloc(6)
  wide.writeUInt16BE(4, 0)
  wide.writeUInt32BE(0x7fffffff, 2)
  const more = Buffer.alloc(4)
  more.writeUInt32BE(0x7fff0000 - 65_535)
  node.send(Buffer.concat([frame(types.settings, 0, 0, wide), frame(types.window, 0, 0, more)]))
  await until(() => node.session.stats().bytesIn >= 46, 'the hub saw the settings')
  node.ws.pause()
  const beat = setInterval(() => node.ws.ping(), 50)
  let pulled = 0
  const body = new Readable({
    read() {
      pulled += 65_536
      this.push(Buffer.alloc(65_536))
    },
  })
  const answer = node.session.request({ path: '/', method: 'POST', body }).catch((error: unknown) => error)
  expect(await answer).toMatchObject({
    code: 'tunnel_lost',
    message: expect.stringContaining('took nothing'),
  })
  clearInterval(beat)
  // What the sockets of both ends hold, and no more.
  expect(pulled).toBeLessThan(32_000_000)
  expect(body.destroyed).toBe(true)
  node.ws.terminate()
})

test('more data than a paused reader allows ends that answer', async () => {
  const node = await enter('flood')
  const data = frame(types.data, 0, 1, Buffer.alloc(16_384))
  node.ws.once('message', () => {
    node.send(respond(1))
    for (let i = 0; i < 30; i++) node.send(times(4, data))
  })
  const answer = await node.session.request({ path: '/', method: 'GET' })
  await until(() => node.session.stats().openStreams === 0, 'the hub ended the answer')
  await expect(answer.body.text()).rejects.toMatchObject({ code: expect.stringMatching(/^tunnel_/) })
  node.ws.terminate()
  await node.session.closed
})

test.each([
  [
    'push promises',
    frame(types.push, flags.endHeaders, 1, Buffer.concat([Buffer.of(0, 0, 0, 2), status200])),
  ],
  ['SETTINGS floods', times(100, frame(types.settings, 0, 0))],
  ['PING floods', times(100, frame(types.ping, 0, 0, Buffer.alloc(8)))],
  ['floods of window updates', times(9_000, frame(types.window, 0, 0, Buffer.of(0, 0, 0, 1)))],
  ['an answer on a stream nobody opened', respond(99)],
  ['an answer on a stream of its own', respond(2)],
  ['data on a stream nobody opened', frame(types.data, 0, 99, Buffer.alloc(10))],
  ['data before the head', frame(types.data, 0, 1, Buffer.alloc(10))],
  ['1,000 heads for one request', times(1_000, respond(1))],
  [
    'a head without an end',
    Buffer.concat([
      frame(types.headers, 0, 1, status200),
      times(64, frame(types.continuation, 0, 1, literal('x-a', 'b'.repeat(4_000)))),
    ]),
  ],
  [
    'a giant head',
    Buffer.concat([
      frame(types.headers, 0, 1, status200),
      times(4, frame(types.continuation, 0, 1, literal('x-a', 'b'.repeat(15_000)))),
      frame(types.continuation, flags.endHeaders, 1, literal('x-a', 'b')),
    ]),
  ],
  ['500 headers', respond(1, times(500, literal('x-a', 'b')))],
  ['a frame longer than agreed', frame(types.data, 0, 1, Buffer.alloc(20_000))],
  ['a header with a newline', respond(1, literal('x-a', 'a\r\nb: c'))],
  ['transfer-encoding', respond(1, literal('transfer-encoding', 'chunked'))],
])('%s', async (_, bytes) => {
  const node = await enter('rude')
  const error = failing(node.session)
  node.ws.once('message', () => {
    for (let at = 0; at < bytes.length; at += 60_000) node.send(bytes.subarray(at, at + 60_000))
    // What only spoils its own stream must spoil that one, at the latest when the node ends it.
    node.send(frame(types.rst, 0, 1, Buffer.of(0, 0, 0, 2)))
  })
  expect(await error).toMatchObject({
    name: 'HolonError',
    code: expect.stringMatching(/^tunnel_|^overloaded$/),
  })
  expect(node.session.stats().openStreams).toBe(0)
  node.ws.terminate()
  await node.session.closed
})

test('an answer sent on the stream of another request reaches nobody else', async () => {
  const node = await enter('swap')
  const first = failing(node.session)
  const second = node.session.request({ path: '/2', method: 'GET' })
  node.ws.once('message', () => {
    // Both of these streams are its own: it can lie to its own callers, and to no one else's.
    node.send(Buffer.concat([respond(3), frame(types.data, flags.endStream, 3, Buffer.from('lie'))]))
  })
  expect(await (await second).body.text()).toBe('lie')
  node.ws.terminate()
  expect(await first).toMatchObject({ code: 'tunnel_lost' })
})

test('floods of WebSocket pings and pongs', async () => {
  for (const kind of ['ping', 'pong'] as const) {
    const node = await enter(`ws-${kind}`)
    for (let i = 0; i < 200; i++) node.ws[kind]()
    expect(await node.closed).toMatchObject({ code: closeCodes.misbehaved })
  }
})

test('text, an oversized message and a message in crumbs', async () => {
  const text = await enter('text')
  text.ws.send('hello')
  expect((await text.closed).code).toBe(closeCodes.notBinary)

  const big = await enter('big')
  big.send(Buffer.alloc(200_000))
  expect((await big.closed).code).toBe(closeCodes.tooBig)

  const crumbs = await enter('crumbs')
  for (let i = 0; i < 100; i++) crumbs.ws.send(Buffer.of(0), { fin: false })
  expect((await crumbs.session.closed).error.code).toBe('tunnel_misbehaved')
})

test('a peer that breaks WebSocket framing', async () => {
  const node = await enter('unmasked')
  const raw = node.ws as unknown as { _socket: { write(bytes: Buffer): void } }
  raw._socket.write(Buffer.of(0x82, 0x01, 0x00))
  expect((await node.session.closed).error).toMatchObject({ code: 'tunnel_misbehaved' })
})
