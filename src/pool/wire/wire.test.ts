import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { silentLog } from '../../core/log.ts'
import { MiB } from '../../core/units.ts'
import type { PartSpec } from '../../protocol/pool.ts'
import { dialSecure } from './dial.ts'
import { maxHeld, maxStrangers } from './limits.ts'
import { preface } from './preface.ts'
import { identityOf, tlsTerms } from './secret.ts'
import { openWire, type Wire, type WireOptions } from './wire.ts'

const newSecret = (): string => randomBytes(32).toString('base64url')
const signal = new AbortController().signal
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** An engine: what it does with a connection, on a loopback port. */
async function engine(serve: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
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
function closed(socket: Socket): Promise<void> {
  socket.on('error', () => undefined)
  socket.resume()
  return new Promise((resolve) => {
    if (socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
}

const wireOf = (
  rank: number,
  host: string | null,
  peers: [number, string][],
  mode: 'encrypted' | 'isolated',
) => ({
  launch: 'launch_1',
  rank,
  wire: { host, mode, peers: peers.map(([peer, secret]) => ({ rank: peer, secret })) },
})

async function open(
  spec: Pick<PartSpec, 'launch' | 'rank' | 'wire'>,
  timing: WireOptions['timing'] = {},
): Promise<Wire> {
  const wire = await openWire({ spec, log: silentLog, timing })
  ends.push(() => wire.close())
  return wire
}

/** A head and a worker that listens, connected. */
async function pair(
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

async function way(wire: Wire, channel = 'rpc', rank = 1): Promise<Socket> {
  const socket = connect({ ...(await wire.wayTo(rank, channel)), allowHalfOpen: true })
  socket.on('error', () => undefined)
  ends.push(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** Everything until the end. Not by `for await`, which would close the way back as well. */
function all(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((resolve, reject) => {
    socket.once('end', () => resolve(Buffer.concat(chunks)))
    socket.once('error', reject)
  })
}

describe('engine traffic', () => {
  test('arrives whole in both directions, on several connections at once, each with its own half close', async () => {
    const { head, worker } = await pair()
    // Answers only when the question has ended: the way back must outlive the way there.
    const { port } = await engine(async (socket) => socket.end((await all(socket)).reverse()))
    worker.offer('rpc', port)
    await Promise.all(
      [1, 2, 3].map(async (megabytes) => {
        const sent = randomBytes(megabytes * MiB + 7)
        const socket = await way(head)
        socket.end(sent)
        expect((await all(socket)).equals(Buffer.from(sent).reverse())).toBe(true)
      }),
    )
    expect(head.bytes()).toBe(2 * (6 * MiB + 21))
    expect(worker.bytes()).toBe(head.bytes())
  })

  test('waits for an engine that is not there yet', async () => {
    const { head, worker } = await pair()
    const socket = await way(head)
    socket.end('early')
    await sleep(50)
    const { port } = await engine((peer) => peer.pipe(peer))
    worker.offer('rpc', port)
    expect((await all(socket)).toString()).toBe('early')
  })

  test('is not taken faster than the engine reads', async () => {
    const { head, worker } = await pair()
    const { port } = await engine((socket) => void socket.pause())
    worker.offer('rpc', port)
    const socket = await way(head)
    const piece = Buffer.alloc(MiB)
    let taken = 0
    while (taken < 200) {
      if (socket.write(piece)) continue
      const drained = await Promise.race([once(socket, 'drain').then(() => true), sleep(400, false)])
      if (!drained) break
      taken += 1
    }
    // What both relays hold and the sockets' buffers, however much is offered.
    expect(taken).toBeLessThan((2 * maxHeld) / MiB + 60)
  })

  test('is held for an engine that is busy: the sender goes on, and it arrives whole afterwards', async () => {
    const { head, worker } = await pair()
    let busy: Socket | undefined
    const { port } = await engine((socket) => {
      busy = socket.pause()
    })
    worker.offer('rpc', port)
    const sent = randomBytes(2 * maxHeld - 4 * MiB)
    const socket = await way(head)
    await new Promise<void>((resolve) => socket.end(sent, resolve))
    const come = all(busy!)
    busy!.resume()
    expect((await come).equals(sent)).toBe(true)
  })

  test('of many small pieces and of long ones arrives in its order', async () => {
    const { head, worker } = await pair()
    const { port } = await engine((socket) => socket.pipe(socket))
    worker.offer('rpc', port)
    const socket = await way(head)
    const answer = all(socket)
    // Around a TLS record, a read of the system and a write of the relay.
    const lengths = [1, 16_383, 16_384, 16_385, 65_536, 65_537, 262_144, 1, 300_000, 7]
    const pieces = Array.from({ length: 60 }, (_, i) => randomBytes(lengths[i % lengths.length] ?? 1))
    for (const [index, piece] of pieces.entries()) {
      socket.write(piece)
      if (index % 7 === 0) await sleep(1)
    }
    socket.end()
    expect((await answer).equals(Buffer.concat(pieces))).toBe(true)
  })

  test('one at a time, where two would hang the engine: the second waits for the end of the first', async () => {
    const { head, worker } = await pair()
    let connections = 0
    const { port } = await engine((socket) => {
      connections += 1
      socket.pipe(socket)
    })
    worker.offer('rpc', port, { oneAtATime: true })
    const first = await way(head)
    first.write('a')
    await once(first, 'data')
    const second = await way(head)
    second.write('b')
    await sleep(100)
    expect(connections).toBe(1)
    first.end()
    const [answer] = (await once(second, 'data')) as [Buffer]
    expect([answer.toString(), connections]).toEqual(['b', 2])
  })

  test('breaks as a break: an engine that resets its connection does not seem to have finished', async () => {
    const { head, worker } = await pair()
    const { port } = await engine((socket) => {
      socket.once('data', () =>
        socket.write('half an ', () => setTimeout(() => socket.resetAndDestroy(), 50)),
      )
    })
    worker.offer('rpc', port)
    const socket = await way(head)
    socket.write('go')
    await expect(all(socket)).rejects.toThrow(/ECONNRESET/)
  })

  test('of an engine that never comes is broken off', async () => {
    const { head } = await pair({ timing: { engineMs: 100 } })
    await expect(all(await way(head))).rejects.toThrow(/ECONNRESET/)
  })

  test('on an isolated link flows straight between engines, and the wire only says where they are', async () => {
    const { head, worker, secret, port } = await pair({ mode: 'isolated' })
    expect(worker.engineHost).toBe('127.0.0.2')
    worker.offer('rpc', 4242)
    expect(await head.wayTo(1, 'rpc')).toEqual({ host: '127.0.0.2', port: 4242 })
    // A relayed connection is not to be had there.
    const identity = identityOf('launch_1', 0, 1)
    const dialled = await dialSecure({
      ...{ host: '127.0.0.2', port, identity, secret: Buffer.from(secret, 'base64url'), timeoutMs: 2000 },
    })
    dialled.socket.write(preface('rpc'))
    await closed(dialled.socket)
  })

  test('is not told of by a member that takes its link for an open one', async () => {
    const secret = newSecret()
    const worker = await open(wireOf(1, '127.0.0.2', [[0, secret]], 'encrypted'))
    const head = await open(wireOf(0, null, [[1, secret]], 'isolated'))
    worker.offer('rpc', 4242)
    await head.connect([{ rank: 1, ...worker.listening! }], signal)
    await expect(head.wayTo(1, 'rpc')).rejects.toMatchObject({ code: 'pool_wire_failed' })
  })
})

describe('a stranger', () => {
  const dialAs = (port: number, identity: string, secret: string) =>
    dialSecure({
      ...{ host: '127.0.0.2', port, identity, secret: Buffer.from(secret, 'base64url'), timeoutMs: 3000 },
    })

  test('with the wrong secret, of another launch, or in the name of another member is refused', async () => {
    const { port, secret } = await pair()
    const mine = identityOf('launch_1', 0, 1)
    for (const [identity, key] of [
      [mine, newSecret()],
      [identityOf('launch_0', 0, 1), secret],
      [identityOf('launch_1', 2, 1), secret],
      [identityOf('launch_1', 0, 2), secret],
    ] as const) {
      await expect(dialAs(port, identity, key)).rejects.toMatchObject({ code: 'pool_wire_failed' })
    }
    const known = await dialAs(port, mine, secret)
    known.drop()
  })

  test('without any secret sees no certificate, no version older or newer, and not one byte of the engine', async () => {
    const { worker, port } = await pair()
    const { port: enginePort } = await engine((socket) => socket.end('SECRET ENGINE'))
    worker.offer('rpc', enginePort)
    const plain = connect({ host: '127.0.0.2', port })
    plain.write(`${preface('rpc')}GET / HTTP/1.1\r\n\r\n`)
    const heard = await all(plain).catch(() => Buffer.alloc(0))
    // At most the TLS alert that what it said is no TLS.
    expect(heard.length).toBeLessThan(16)
    const tls = connectTls({ host: '127.0.0.2', port, rejectUnauthorized: false })
    await expect(once(tls, 'secureConnect')).rejects.toThrow()
  })

  test('cannot replay a connection that it recorded', async () => {
    const { worker, port, secret } = await pair()
    let connections = 0
    const { port: enginePort } = await engine((socket) => {
      connections += 1
      socket.pipe(socket)
    })
    worker.offer('rpc', enginePort)
    const recorded: Buffer[] = []
    const middle = createServer((client) => {
      const server = connect({ host: '127.0.0.2', port })
      client.on('data', (chunk: Buffer) => recorded.push(chunk))
      for (const each of [client, server]) each.on('error', () => undefined)
      client.pipe(server).pipe(client)
    })
    middle.listen(0, '127.0.0.1')
    await once(middle, 'listening')
    ends.push(() => middle.close())
    const { port: middlePort } = middle.address() as { port: number }
    const through = await dialSecure({
      ...{ host: '127.0.0.1', port: middlePort, identity: identityOf('launch_1', 0, 1) },
      ...{ secret: Buffer.from(secret, 'base64url'), timeoutMs: 3000 },
    })
    through.socket.write(`${preface('rpc')}hello`)
    await once(through.socket, 'data')
    through.drop()
    expect(connections).toBe(1)
    const replay = connect({ host: '127.0.0.2', port })
    replay.on('error', () => undefined)
    replay.write(Buffer.concat(recorded))
    await closed(replay)
    expect(connections).toBe(1)
  })

  test('who says nothing is sent away, and a crowd of them keeps no member out', async () => {
    const { worker, secret, port } = await pair({ timing: { handshakeMs: 1_000 } })
    const { port: enginePort } = await engine((socket) => socket.pipe(socket))
    worker.offer('rpc', enginePort)
    let gone = 0
    const crowd = Array.from({ length: maxStrangers + 40 }, () => {
      const socket = connect({ host: '127.0.0.2', port })
      socket.on('error', () => undefined)
      socket.on('close', () => {
        gone += 1
      })
      ends.push(() => socket.destroy())
      return once(socket, 'connect').catch(() => undefined)
    })
    await Promise.all(crowd)
    const member = await dialAs(port, identityOf('launch_1', 0, 1), secret)
    member.socket.write(`${preface('rpc')}I`)
    expect(String((await once(member.socket, 'data'))[0])).toBe('I')
    while (gone < maxStrangers + 40) await sleep(20)
  })

  test.each([
    ['another secret', { ...tlsTerms, pskCallback: () => randomBytes(32) }],
    [
      'no secret and no name',
      { maxVersion: 'TLSv1.2', ciphers: 'AECDH-AES128-SHA:ADH-AES128-SHA256:@SECLEVEL=0' },
    ],
  ] as const)('in the place of a peer, with %s, is not believed', async (_, terms) => {
    const liar = createTlsServer(terms)
    liar.on('tlsClientError', () => undefined)
    liar.listen(0, '127.0.0.2')
    await once(liar, 'listening')
    ends.push(() => liar.close())
    const { port } = liar.address() as { port: number }
    await expect(dialAs(port, 'x', newSecret())).rejects.toMatchObject({ code: 'pool_wire_failed' })
  })

  test('who knows the secret but names no channel, or endless ones, is sent away', async () => {
    const { secret, port } = await pair()
    const identity = identityOf('launch_1', 0, 1)
    for (const words of ['nonsense\n', 'holon-wire/9 rpc\n', 'holon-wire/1 RPC; rm\n', 'x'.repeat(10_000)]) {
      const { socket } = await dialAs(port, identity, secret)
      socket.write(words)
      await closed(socket)
    }
  })
})

describe('a peer', () => {
  test('that falls silent is missed, though its sockets stay open', async () => {
    const secret = newSecret()
    const worker = await open(wireOf(1, '127.0.0.2', [[0, secret]], 'encrypted'))
    // Between them a cable that can be pulled.
    let pulled = false
    const cable = createServer((client) => {
      const server = connect({ ...worker.listening! })
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.on('error', () => undefined)
        from.on('data', (chunk: Buffer) => pulled || to.write(chunk))
      }
      ends.push(() => client.destroy())
    })
    cable.listen(0, '127.0.0.1')
    await once(cable, 'listening')
    ends.push(() => cable.close())
    const { port } = cable.address() as { port: number }
    const head = await open(wireOf(0, null, [[1, secret]], 'encrypted'))
    await head.connect([{ rank: 1, host: '127.0.0.1', port }], signal)
    while (head.rttMs()[1] === null) await sleep(20)
    pulled = true
    expect(await head.lost).toMatch(
      /^The connection to member 1 was lost: nothing was heard from it for \d\.\d s\.$/,
    )
    expect(await worker.lost).toMatch(/^The connection to member 0 was lost: /)
  })

  test('that ends its part says goodbye, and its way is closed', async () => {
    const { head, worker } = await pair()
    const { port } = await engine((socket) => socket.pipe(socket))
    worker.offer('rpc', port)
    const socket = await way(head)
    socket.write('a')
    await once(socket, 'data')
    const ended = closed(socket)
    await worker.close()
    expect(await head.lost).toBe('The connection to member 1 was lost: it ended its part.')
    await ended
    const address = worker.listening!
    await expect(head.connect([{ rank: 1, ...address }], AbortSignal.timeout(300))).rejects.toThrow()
  })

  test('that cannot be reached is named with its address', async () => {
    const head = await open(wireOf(0, null, [[1, newSecret()]], 'encrypted'), { dialMs: 50 })
    await expect(head.connect([{ rank: 1, host: '127.0.0.2', port: 1 }], signal)).rejects.toThrow(
      'The peer at 127.0.0.2:1 cannot be reached (ECONNREFUSED).',
    )
  })
})

test('an address that is not this machine’s is refused with what to do', async () => {
  const spec = wireOf(1, '203.0.113.9', [[0, newSecret()]], 'encrypted')
  await expect(openWire({ spec, log: silentLog })).rejects.toMatchObject({
    code: 'pool_wire_failed',
    message: 'This machine cannot listen on 203.0.113.9 (EADDRNOTAVAIL).',
  })
})
