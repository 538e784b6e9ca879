import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { all, closed, ends, engine, newSecret, pair } from '../../../test/support/wire-pair.ts'
import { dialSecure } from './dial.ts'
import { maxStrangers } from './limits.ts'
import { preface } from './preface.ts'
import { identityOf, tlsTerms } from './secret.ts'

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
