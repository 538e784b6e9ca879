import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import {
  all,
  closed,
  ends,
  engine,
  newSecret,
  open,
  pair,
  signal,
  way,
  wireOf,
} from '../../../test/support/wire-pair.ts'
import { silentLog } from '../../core/log.ts'
import { MiB } from '../../core/units.ts'
import { dialSecure } from './dial.ts'
import { maxHeld } from './limits.ts'
import { preface } from './preface.ts'
import { identityOf } from './secret.ts'
import { openWire } from './wire.ts'

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

describe('a peer', () => {
  test('that falls silent is missed, though its sockets stay open', async () => {
    const secret = newSecret()
    const worker = await open(wireOf(1, '127.0.0.2', [[0, secret]], 'encrypted'))
    // Between them a cable that can be pulled.
    let pulled = false
    let pieces = 0
    const cable = createServer((client) => {
      const server = connect({ ...worker.listening! })
      for (const [from, to] of [
        [client, server],
        [server, client],
      ] as const) {
        from.on('error', () => undefined)
        from.on('data', (chunk: Buffer) => {
          pieces += 1
          if (!pulled) to.write(chunk)
        })
      }
      ends.push(() => client.destroy())
    })
    cable.listen(0, '127.0.0.1')
    await once(cable, 'listening')
    ends.push(() => cable.close())
    const { port } = cable.address() as { port: number }
    const head = await open(wireOf(0, null, [[1, secret]], 'encrypted'))
    await head.connect([{ rank: 1, host: '127.0.0.1', port }], signal)
    // Both are watching over each other: what TLS says for itself is less.
    const before = pieces
    while (pieces < before + 6) await sleep(20)
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
