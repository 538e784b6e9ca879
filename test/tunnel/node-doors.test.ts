/** What a hub, or whoever got hold of one, may try with a node: it reaches the engines it holds, and nothing else. */
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createNodeServer } from '../../src/agent/node-server/node-server.ts'
import { jsonLine } from '../../src/core/lines.ts'
import { silentLog } from '../../src/core/log.ts'
import { holdHeader, nodePaths } from '../../src/protocol/node-wire.ts'
import type { TunnelDialer } from '../../src/tunnel/dial.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'
import { FakeEngine } from '../hub/fake-engine.ts'
import { FakeNode } from '../hub/fake-node.ts'
import { dialTo, startHub, type TestHub } from './harness.ts'

const engine = new FakeEngine()
const kept: string[] = []
let hub: TestHub
let node: FakeNode
let dialer: TunnelDialer
let session: TunnelSession
beforeAll(async () => {
  await engine.start()
  hub = await startHub()
  node = new FakeNode(engine.origin)
  const server = createNodeServer({
    node,
    log: silentLog,
    keepCredential: async (credential) => void kept.push(credential),
  })
  dialer = dialTo(hub, 'studio', { handler: server.handler })
  session = await hub.next()
})
afterAll(async () => {
  await dialer.stop()
  await hub.close()
  await engine.stop()
})

async function post(
  path: string,
  body: string,
  headers: Record<string, string> = {},
): Promise<{ status: number; text: string }> {
  const answer = await session.request({ path, method: 'POST', body, headers })
  return { status: answer.statusCode, text: await answer.body.text() }
}
const question = JSON.stringify({ model: 'tiny', messages: [{ role: 'user', content: 'hello' }] })

test.each<[string, Record<string, string>]>([
  ['without a hold', {}],
  ['with a hold that it made up', { [holdHeader]: 'hold_0123456789' }],
  ['with the secret of a guess', { authorization: 'Bearer secret-of-this-launch' }],
])('no engine is reached %s', async (_, headers) => {
  const before = engine.seen.length
  const answer = await post('/v1/chat/completions', question, headers)
  expect(answer.status).toBe(404)
  expect(engine.seen.length).toBe(before)
})

test.each([
  '/etc/passwd',
  '/node/v1',
  '/node/v1/hold/../../x',
  '/v1/%2e%2e/slots',
  '/v1/..%2fslots',
  '//x/v1/a',
])('a path that is none, %s, leads nowhere', async (path) => {
  const before = engine.seen.length
  const { status } = await post(path, '{}').catch((error: { status: number }) => error)
  expect([400, 404]).toContain(status)
  expect(engine.seen.length).toBe(before)
})

test.each([
  ['no JSON', 'model=tiny'],
  ['another shape', '{"model":7}'],
  ['more than a small order', JSON.stringify({ model: 'x'.repeat(100_000) })],
  ['a name that would break a terminal', JSON.stringify({ model: 'a\u001b[2Jb' })],
])('an order that is %s is refused', async (_, body) => {
  for (const path of [nodePaths.load, nodePaths.unload, nodePaths.credential]) {
    const { status } = await post(path, body)
    expect([400, 413]).toContain(status)
  }
  expect(node.loads).toEqual([])
  expect(kept).toEqual([])
})

test('an order in pieces is read whole, also where a letter is cut in two', async () => {
  const order = Buffer.from(JSON.stringify({ model: 'modèle' }))
  const cut = order.indexOf(0xc3) + 1
  const body = Readable.from([order.subarray(0, cut), order.subarray(cut)], { objectMode: false })
  const { statusCode } = await session.request({ path: nodePaths.load, method: 'POST', body })
  expect(statusCode).toBe(204)
  expect(node.loads.pop()).toMatchObject({ id: 'modèle' })
})

test('a hold ends with its stream, and is no good to anybody after that', async () => {
  const held = await post(nodePaths.hold, jsonLine({ model: 'tiny' }))
  const line = held.text.split('\n').find((text) => text.includes('"engine"')) ?? '{}'
  const { engine: told } = JSON.parse(line) as { engine: { hold: string } }
  expect(told.hold).toMatch(/^hold_/)
  expect(node.held).toBe(0)
  expect((await post('/v1/chat/completions', question, { [holdHeader]: told.hold })).status).toBe(404)
})

test('garbage in place of a hold is answered with an error, and nothing is held', async () => {
  for (const body of ['', 'x\n', jsonLine({ model: '' }), `${'x'.repeat(100_000)}\n`]) {
    const { status, text } = await post(nodePaths.hold, body)
    expect(status).toBe(200)
    expect(text).toMatch(/"error":\{"code":"(?!internal)/)
  }
  expect(node.held).toBe(0)
})
