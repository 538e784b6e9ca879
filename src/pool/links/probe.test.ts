import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { expect, test } from 'vitest'
import { jsonLine } from '../../core/lines.ts'
import { linkProbe } from '../../protocol/pool.ts'
import { bind, listenSecure } from '../wire/listen.ts'
import { awaitProbe } from './await-probe.ts'
import { probe } from './probe.ts'
import { ticketBytes } from './probe-terms.ts'

const newSecret = (): string => randomBytes(32).toString('base64url')
const { signal } = new AbortController()
const host = '127.0.0.3'

test('the way to a machine that awaits it is measured: stream, small messages, and the interface', async () => {
  const secret = newSecret()
  const { port } = await awaitProbe({ host, secret }, signal)
  const told = linkProbe.parse(await probe({ host, port, secret }, signal))
  expect(told.via.kind).toBe('loopback')
  expect(told.throughputBytesS).toBeGreaterThan(1e6)
  expect(told.rttMs).toBeGreaterThan(0)
  // Once only.
  await expect(probe({ host, port, secret }, signal)).rejects.toMatchObject({ code: 'link_probe_failed' })
})

test('whoever lacks the secret measures nothing, and the one who has it still can', async () => {
  const secret = newSecret()
  const { port } = await awaitProbe({ host, secret }, signal)
  await expect(probe({ host, port, secret: newSecret() }, signal)).rejects.toThrow(
    /could not be measured: The peer at 127\.0\.0\.3:\d+ does not accept the secret/,
  )
  await expect(probe({ host, port, secret }, signal)).resolves.toBeTruthy()
})

test('an end that is no longer wanted is closed', async () => {
  const giveUp = new AbortController()
  const { port } = await awaitProbe({ host, secret: newSecret() }, giveUp.signal)
  giveUp.abort()
  const socket = connect({ host, port })
  await expect(once(socket, 'connect')).rejects.toThrow(/ECONNREFUSED/)
})

test.each(['tells no port', 'takes the connection and echoes nothing', 'hangs up instead of an echo'])(
  'an end that %s does not keep the one who measures',
  async (fault) => {
    const secret = newSecret()
    const giveUp = new AbortController()
    const reached = () => giveUp.abort(new Error('given up'))
    const sink = createServer((socket) => {
      socket.on('error', () => undefined)
      // The ticket is there: the next that it says is a ping.
      socket.once('data', () => (fault.startsWith('hangs') ? socket.end() : reached()))
    })
    const sinkPort = await bind(sink, host)
    const listener = await listenSecure({
      host,
      handshakeMs: 5_000,
      secretOf: () => Buffer.from(secret, 'base64url'),
      onPeer: (socket) => {
        if (fault === 'tells no port') return reached()
        const ticket = randomBytes(ticketBytes).toString('base64url')
        socket.write(jsonLine({ port: sinkPort, ticket }))
      },
    })
    try {
      const measured = probe({ host, port: listener.port, secret }, giveUp.signal)
      await expect(measured).rejects.toThrow(
        fault.startsWith('hangs') ? /could not be measured: the other end hung up/ : 'given up',
      )
    } finally {
      listener.close()
      sink.close()
    }
  },
)
