import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { linkProbe } from '../../protocol/pool.ts'
import { awaitProbe } from './await-probe.ts'
import { probe } from './probe.ts'

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
