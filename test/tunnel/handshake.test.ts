/** Who is let in, who is turned away and how, and how a node comes back. */
import { createServer, type IncomingMessage } from 'node:http'
import { type AddressInfo, connect, createServer as createTcp, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { HolonError } from '../../src/core/errors.ts'
import type { DialState } from '../../src/tunnel/reconnect.ts'
import { closeCodes, subprotocol } from '../../src/tunnel/wire.ts'
import { dialTo, echo, startHub, until } from './harness.ts'
import { connectHostile, upgradeHeaders } from './hostile-node.ts'

const timing = { heartbeatMs: 50, silenceMs: 400, writeStallMs: 600, setupMs: 400, probeMs: 150 }
const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).reverse()) await clean()
})

async function hubWith(options: Parameters<typeof startHub>[0] = {}) {
  const hub = await startHub({ timing, ...options })
  cleanups.push(() => hub.close())
  return hub
}
function dial(hub: { url: string }, nodeId: string, options: Parameters<typeof dialTo>[2] = {}) {
  const states: DialState[] = []
  const dialer = dialTo(hub, nodeId, { timing, onState: (state) => states.push(state), ...options })
  cleanups.push(() => dialer.stop())
  return Object.assign(dialer, { states })
}

/** The hub's answer to a raw upgrade that it turns down. */
function refusal(url: string, headers: Record<string, string>, protocols = [subprotocol(1)]) {
  return new Promise<{
    status: number
    retryAfter: string | undefined
    code: string
    message: string
  } | null>((resolve) => {
    const ws = new WebSocket(`${url.replace('http', 'ws')}`, protocols, { headers })
    ws.on('error', () => undefined)
    ws.once('open', () => {
      ws.terminate()
      resolve(null)
    })
    ws.once('unexpected-response', async (_, response: IncomingMessage) => {
      let text = ''
      for await (const chunk of response) text += String(chunk)
      const { error } = JSON.parse(text) as { error: { code: string; message: string } }
      resolve({ status: response.statusCode!, retryAfter: response.headers['retry-after'], ...error })
    })
  })
}

test('a revoked node is told so, its answers fail, and it does not come back', async () => {
  const revoked = new Set<string>()
  const hub = await hubWith({ revoked })
  const node = dial(hub, 'm1', { handler: (_, response) => void response.write('x') })
  const session = await hub.next()
  const answer = await session.request({ path: '/', method: 'GET' })
  revoked.add('m1')
  hub.acceptor.revoke('m1', 'revoked by the owner')
  await expect(answer.body.text()).rejects.toMatchObject({ code: 'tunnel_lost' })
  expect(await node.ended).toMatchObject({
    code: 'tunnel_revoked',
    message: expect.stringContaining('by the owner'),
  })
  expect(await refusal(`${hub.url}/fleet/v1/tunnel`, upgradeHeaders('m1'))).toMatchObject({ status: 403 })
})

test('a node revoked while it shakes hands does not get in', async () => {
  const admits: (() => void)[] = []
  const hub = await hubWith({
    authenticate: (hello) => new Promise((resolve) => admits.push(() => resolve({ nodeId: hello.nodeId }))),
  })
  const node = dial(hub, 'm1')
  await until(() => admits.length === 1, 'the hub asked who it is')
  hub.acceptor.revoke('m1', 'revoked')
  admits[0]!()
  expect(await node.ended).toMatchObject({ code: 'tunnel_revoked' })
  expect(hub.acceptor.sessions()).toHaveLength(0)
})

test('versions with nothing in common end with a sentence that names both and what to update', async () => {
  const hub = await hubWith()
  const newer = dial(hub, 'm1', { versions: [3, 2], agentVersion: '0.9.0' })
  expect(await newer.ended).toMatchObject({
    code: 'tunnel_version',
    message:
      'The hub (Holon 0.1.0-test) speaks tunnel version 1, and node m1 (Holon 0.9.0) speaks version 3, 2.',
    hint: 'Update Holon on the hub.',
  })
  const newHub = await hubWith({ versions: [5, 4] })
  expect(await dial(newHub, 'm1').ended).toMatchObject({ hint: 'Update Holon on the node.' })
  const both = await hubWith({ versions: [2, 1] })
  dial(both, 'm1')
  expect((await both.next()).nodeId).toBe('m1')
})

test('an unknown credential is asked for again, so that a rotated one works at once', async () => {
  const hub = await hubWith()
  const credentials = ['old', 'key-m1']
  dial(hub, 'm1', { credential: () => credentials.shift() ?? 'spent' })
  expect((await hub.next()).nodeId).toBe('m1')
  const wrong = dial(hub, 'm2', { credential: async () => 'never' })
  expect(await wrong.ended).toMatchObject({ code: 'tunnel_refused' })
  expect(wrong.states.filter((each) => each.phase === 'connecting')).toHaveLength(3)
  expect(hub.lines.join('\n')).not.toContain('never')
})

test('a credential of another node does not open this one', async () => {
  const hub = await hubWith()
  expect(await dial(hub, 'm1', { credential: () => 'key-m2' }).ended).toMatchObject({
    code: 'tunnel_refused',
    message: 'The credential is not that of node m1.',
  })
})

test('two machines with one identity: the one that lives stays, and the other takes over when it is gone', async () => {
  const hub = await hubWith()
  const first = dial(hub, 'm1')
  const session = await hub.next()
  const second = dial(hub, 'm1')
  await until(() => second.states.some((each) => each.phase === 'waiting'), 'the second was turned away')
  expect(second.states.find((each) => each.phase === 'waiting')).toMatchObject({
    problem: { code: 'tunnel_identity_in_use', retryAfterS: 15 },
  })
  expect(session.endedBy()).toBeNull()
  expect(hub.acceptor.session('m1')).toBe(session)
  await second.stop()

  await first.stop()
  await session.closed
  dial(hub, 'm1')
  expect((await hub.next()).instanceId).not.toBe(session.instanceId)
})

test('a half-dead connection gives way to another machine with its identity', async () => {
  const hub = await hubWith({ timing: { ...timing, silenceMs: 60_000 } })
  const dead = await connectHostile(hub, 'm1')
  const session = await hub.next()
  dead.ws.pause()
  dial(hub, 'm1')
  expect((await session.closed).code).toBe(closeCodes.silent)
  expect((await hub.next()).nodeId).toBe('m1')
  dead.ws.terminate()
})

test('the newest connection of one agent wins, and answers on the older one fail', async () => {
  const hub = await hubWith()
  const older = await connectHostile(hub, 'm1', { instance: 'same' })
  const session = await hub.next()
  const open = session.request({ path: '/', method: 'GET' }).catch((error: unknown) => error)
  const newer = await connectHostile(hub, 'm1', { instance: 'same' })
  const next = await hub.next()
  expect(await older.closed).toMatchObject({ code: closeCodes.replaced })
  expect(await open).toMatchObject({
    code: 'tunnel_lost',
    message: expect.stringContaining('newer connection'),
  })
  expect(hub.acceptor.session('m1')).toBe(next)
  newer.ws.terminate()
})

test('a line that goes dead without a word is noticed by both ends, and the node comes back as itself', async () => {
  const hub = await hubWith()
  const wires: { socket: Socket; up: Socket }[] = []
  let open: Promise<unknown> = Promise.resolve()
  const proxy = createTcp(async (socket) => {
    socket.on('error', () => undefined)
    await open
    const up = connect(hub.port, '127.0.0.1')
    wires.push({ socket, up })
    up.on('error', () => undefined)
    socket.pipe(up).pipe(socket)
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => {
    for (const { socket, up } of wires) for (const each of [socket, up]) each.destroy()
    proxy.close()
  })
  const node = dial({ url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }, 'm1')
  const session = await hub.next()
  const { socket, up } = wires[0]!
  // The node may notice first and come back, and then the hub would have no silence left to notice.
  open = session.closed
  socket.unpipe(up)
  up.unpipe(socket)
  expect(await session.closed).toMatchObject({ code: closeCodes.silent, by: 'us' })
  const back = await hub.next()
  expect(back.instanceId).toBe(session.instanceId)
  // The hub knows a moment before the node does.
  await until(() => node.states.length >= 5, 'the node knows that it is back')
  expect(node.states.map((each) => each.phase)).toEqual([
    'connecting',
    'connected',
    'waiting',
    'connecting',
    'connected',
  ])
  expect(node.states[2]).toMatchObject({
    problem: { code: 'tunnel_lost', message: expect.stringContaining('nothing was heard') },
  })
})

test('a hub that stops and starts again has its nodes back', async () => {
  const hub = await startHub({ timing })
  const node = dial(hub, 'm1')
  await hub.next()
  await hub.close()
  await until(() => node.states.some((each) => each.phase === 'waiting'), 'the node noticed')
  const again = createServer()
  const { createTunnelAcceptor } = await import('../../src/tunnel/accept.ts')
  const session = new Promise((resolve) => {
    const acceptor = createTunnelAcceptor({
      hubVersion: '0.1.0-test',
      authenticate: async (hello) => ({ nodeId: hello.nodeId }),
      onSession: resolve,
    })
    again.on('upgrade', acceptor.upgrade)
    cleanups.push(
      () => acceptor.close(),
      () => again.close(),
    )
  })
  again.listen(hub.port, '127.0.0.1')
  expect(await session).toMatchObject({ nodeId: 'm1' })
})

test('1,000 connections of one node are slowed down, cost the hub nothing that stays, and hurt no other', async () => {
  const hub = await hubWith()
  dial(hub, 'good')
  const good = await hub.next()
  let admitted = 0
  let turnedAway = 0
  for (let i = 0; i < 1_000; i++) {
    const refused = await refusal(`${hub.url}/fleet/v1/tunnel`, upgradeHeaders('m1', 'same'))
    if (!refused) admitted += 1
    else {
      expect(refused).toMatchObject({ status: 429, code: 'tunnel_rate_limited' })
      expect(Number(refused.retryAfter)).toBeGreaterThan(0)
      turnedAway += 1
    }
  }
  expect(admitted).toBeGreaterThanOrEqual(20)
  expect(turnedAway).toBeGreaterThan(admitted)
  expect(hub.lines.length).toBeLessThan(10)
  await until(() => hub.acceptor.sessions().length === 1, 'only the good node is held')
  expect(await (await good.request({ path: '/', method: 'POST', body: 'x' })).body.text()).toBe('x')
})

test.each([
  ['another path', '/fleet/v1/tunnels', {}, [subprotocol(1)], 404, 'not_found'],
  [
    'no node id',
    '/fleet/v1/tunnel',
    { 'x-holon-node': '' },
    [subprotocol(1)],
    400,
    'tunnel_handshake_invalid',
  ],
  [
    'a bad node id',
    '/fleet/v1/tunnel',
    { 'x-holon-node': '../x' },
    [subprotocol(1)],
    400,
    'tunnel_handshake_invalid',
  ],
  ['no subprotocol', '/fleet/v1/tunnel', {}, [], 400, 'tunnel_handshake_invalid'],
  ['another subprotocol', '/fleet/v1/tunnel', {}, ['mqtt'], 400, 'tunnel_handshake_invalid'],
  [
    'no credential',
    '/fleet/v1/tunnel',
    { authorization: 'Basic eDp5' },
    [subprotocol(1)],
    401,
    'tunnel_refused',
  ],
] as const)('a handshake with %s is refused', async (_, path, headers, protocols, status, code) => {
  const hub = await hubWith()
  const refused = await refusal(`${hub.url}${path}`, { ...upgradeHeaders('m1'), ...headers }, [...protocols])
  expect(refused).toMatchObject({ status, code })
})

test('a broken WebSocket key, and a caller who hangs up while it is checked, leave nothing behind', async () => {
  let asked = 0
  const hub = await hubWith({
    authenticate: async (hello) => {
      asked += 1
      await new Promise((resolve) => setTimeout(resolve, 30))
      return { nodeId: hello.nodeId }
    },
  })
  const head = Object.entries(upgradeHeaders('m1')).map(([name, value]) => `${name}: ${value}\r\n`)
  const shake = (key: string) => {
    const socket = connect(hub.port, '127.0.0.1')
    socket.write(
      `GET /fleet/v1/tunnel HTTP/1.1\r\nhost: x\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\n` +
        `sec-websocket-protocol: ${subprotocol(1)}\r\nsec-websocket-key: ${key}\r\n${head.join('')}\r\n`,
    )
    return socket
  }
  const bad = shake('short')
  const text = await new Promise<string>((resolve) => bad.once('data', (bytes) => resolve(bytes.toString())))
  expect(text).toMatch(/^HTTP\/1\.1 400 /)
  const gone = shake('AAAAAAAAAAAAAAAAAAAAAA==')
  await until(() => asked === 2, 'the hub checks the second')
  gone.destroy()
  await until(
    () => hub.lines.some((line) => line.includes('hung up') || line.includes('ended')),
    'the hub noticed',
  )
  expect(hub.acceptor.sessions()).toHaveLength(0)
})

test('a hub whose check of credentials hangs or fails says so and stays', async () => {
  const hub = await hubWith({ authenticate: () => new Promise(() => undefined) })
  const late = await refusal(`${hub.url}/fleet/v1/tunnel`, upgradeHeaders('m1'))
  expect(late).toMatchObject({ status: 503, code: 'overloaded', retryAfter: '5' })
  const broken = await hubWith({
    authenticate: () => Promise.reject(new Error('the store says secret things')),
  })
  const failed = await refusal(`${broken.url}/fleet/v1/tunnel`, upgradeHeaders('m1'))
  expect(failed).toMatchObject({ status: 500, code: 'internal' })
  expect(failed?.message).not.toContain('secret')
})

test('a caller who sends its handshake byte by byte is cut off by the server the hub listens with', async () => {
  const hub = await hubWith()
  hub.server.headersTimeout = 200
  const socket = connect(hub.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write('GET /fleet/v1/tunnel HTTP/1.1\r\nhost: x\r\n')
  const drip = setInterval(() => socket.write('x'), 20)
  await new Promise((resolve) => socket.once('close', resolve))
  clearInterval(drip)
})

test('what is no hub does not end a node: it says what answered and tries again', async () => {
  const other = createServer((_, response) =>
    response.writeHead(502, { 'retry-after': '1' }).end('<html>bad gateway'),
  )
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => other.close())
  const node = dial({ url: `http://127.0.0.1:${(other.address() as AddressInfo).port}` }, 'm1')
  await until(() => node.state().phase === 'waiting', 'the node waits')
  expect(node.state()).toMatchObject({
    problem: {
      code: 'tunnel_handshake_invalid',
      message: "The hub's address answered 502, and not as a hub does.",
      retryAfterS: 1,
    },
  })
})

test('a hub with a base path is dialled below it; nonsense is refused at once', async () => {
  const hub = await hubWith({ path: '/holon/fleet/v1/tunnel' })
  dial({ url: `${hub.url}/holon/` }, 'm1')
  expect((await hub.next()).nodeId).toBe('m1')
  for (const [url, id] of [
    ['ftp://x', 'm1'],
    ['hub', 'm1'],
    ['http://x', 'a b'],
    ['http://x', ''],
  ] as const) {
    expect(() => dialTo({ url }, id, { handler: echo })).toThrow(HolonError)
  }
})
