import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createNodeServer } from '../../src/agent/node-server/node-server.ts'
import { silentLog } from '../../src/core/log.ts'
import type { NodeState } from '../../src/protocol/node.ts'
import { dialHub, type TunnelDialer } from '../../src/tunnel/dial.ts'
import type { TunnelHandler } from '../../src/tunnel/node-handler.ts'
import { FakeEngine } from '../hub/fake-engine.ts'
import { aModel, FakeNode } from '../hub/fake-node.ts'
import { chat, type Stand, startStand } from '../hub/start-hub.ts'
import { eventually } from '../support/cli.ts'

/** Nodes that lie, break and flood, at a real hub by real tunnels; beside them a good one that must not notice. */
let stand: Stand
const dialers: TunnelDialer[] = []
const engines: FakeEngine[] = []
beforeAll(async () => {
  stand = await startStand()
  // Makes the database, which takes its time.
  await post('/fleet/v1/nodes/token', {})
})
afterEach(async () => {
  await Promise.all(dialers.splice(0).map((dialer) => dialer.stop()))
})
afterAll(async () => {
  await stand.stop()
  await Promise.all(engines.splice(0).map((engine) => engine.stop()))
})

interface Admitted {
  nodeId: string
  name: string
  credential: string
}

async function post(path: string, body: object): Promise<{ status: number; body: Record<string, unknown> }> {
  const response = await fetch(stand.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

async function admit(name: string): Promise<Admitted> {
  const { token } = (await post('/fleet/v1/nodes/token', {})).body
  return (await post('/fleet/v1/join', { token, name })).body as unknown as Admitted
}

async function dial(name: string, handler: TunnelHandler): Promise<Admitted> {
  const admitted = await admit(name)
  dialers.push(
    dialHub({
      hubUrl: stand.url,
      nodeId: admitted.nodeId,
      agentVersion: '0.0.0-test',
      credential: () => admitted.credential,
      handler,
      reconnect: { baseMs: 50, maxMs: 200 },
    }),
  )
  return admitted
}

/** A node like any other, whose engine is the fake one. */
async function goodNode(name: string, model = name): Promise<{ node: FakeNode; engine: FakeEngine }> {
  const engine = new FakeEngine()
  await engine.start()
  engines.push(engine)
  const node = new FakeNode(engine.origin, [aModel(model)], 'local', name)
  const server = createNodeServer({ node, log: silentLog, keepCredential: async () => undefined })
  const admitted = await dial(name, server.handler)
  await ready(admitted.name)
  return { node, engine }
}

async function nodes(): Promise<NodeState[]> {
  const response = await fetch(`${stand.url}/fleet/v1/nodes`)
  return ((await response.json()) as { nodes: NodeState[] }).nodes
}
const phaseOf = async (name: string) => (await nodes()).find((node) => node.name === name)?.link?.phase
const ready = (name: string) =>
  eventually(`${name} to be ready`, async () => (await phaseOf(name)) === 'ready')

/** A node that tells `lines` as its picture and answers nothing else. */
const telling =
  (...lines: string[]): TunnelHandler =>
  (request, response) => {
    if (request.url !== '/node/v1/changes') {
      response.writeHead(404)
      response.end()
      return
    }
    response.writeHead(200)
    for (const line of lines) response.write(`${line}\n`)
  }

const honest = {
  profile: null,
  engines: ['fake'],
  models: [aModel('liar')],
  running: [],
  memory: { budgetBytes: 1e9, usedBytes: 0 },
}

test('a request through the tunnel reaches the engine byte for byte, with its secret, and what it measured comes back', async () => {
  const { node, engine } = await goodNode('far')
  const raw = '{ "model":"far" , "messages":[{"role":"user","content":"h\\u00e9llo é"}] }'
  const response = await stand.post('/v1/chat/completions', raw)
  expect(response.status).toBe(200)
  expect(response.headers.get('x-holon-node')).toBe('far')
  await response.text()
  const seen = engine.seen.at(-1)
  expect(seen?.raw.toString()).toBe(raw)
  expect(seen?.headers.authorization).toBe('Bearer secret-of-this-launch')
  expect(seen?.headers['x-holon-hold']).toBeUndefined()
  await eventually('the lease to be given back', () => node.released.length === 1)
  expect(node.released[0]).toMatchObject({ promptTokens: 7, completionTokens: 4 })
  expect(node.held).toBe(0)
})

test.each([
  ['memory without bound', { ...honest, memory: { budgetBytes: 1e300, usedBytes: 0 } }],
  ['negative memory', { ...honest, memory: { budgetBytes: -1, usedBytes: 0 } }],
  ['a model twice', { ...honest, models: [aModel('x'), aModel('x')] }],
  ['too many models', { ...honest, models: Array.from({ length: 2001 }, (_, i) => aModel(`${i}`)) }],
  ['a name that would break a terminal', { ...honest, models: [aModel('a\u001b[2Jb')] }],
  ['a word in place of a picture', 'hello'],
])('a node that tells %s is suspect, and offers nothing', async (_, picture) => {
  const { name } = await dial('liar', telling(JSON.stringify(picture)))
  await eventually('it to be suspect', async () => (await phaseOf(name)) === 'suspect')
  const liar = (await nodes()).find((node) => node.name === name)
  expect(liar).toMatchObject({ models: [], memory: { budgetBytes: 0 }, state: 'starting' })
  expect(liar?.link?.reason).toMatch(/refused/)
  expect((await stand.post('/v1/chat/completions', chat('hello'))).status).toBe(200)
})

test('a line without end is cut off, and the node sent away', async () => {
  await dial('flood', (_, response) => {
    response.writeHead(200)
    const chunk = 'x'.repeat(64 * 1024)
    const more = () => {
      while (!response.stream.destroyed && response.write(chunk));
      if (!response.stream.destroyed) response.once('drain', more)
    }
    more()
  })
  await eventually('it to be gone', async () => /gone|suspect/.test((await phaseOf('flood')) ?? ''))
  expect((await stand.post('/v1/chat/completions', chat('hello'))).status).toBe(200)
})

test('a node that fails before the first byte loses the request to another', async () => {
  const { node } = await goodNode('backup', 'liar')
  const { name } = await dial('dropper', (request, response) => {
    // It says that it holds the model in memory, and then drops every request for it.
    if (request.url === '/node/v1/changes') telling(JSON.stringify(honest))(request, response)
    else response.stream.destroy(new Error('no'))
  })
  await ready(name)
  for (let round = 0; round < 6; round++) {
    const response = await stand.post('/v1/chat/completions', chat('hello', { model: 'liar', stream: true }))
    expect(response.status).toBe(200)
    expect(await response.text()).toContain('[DONE]')
    expect(response.headers.get('x-holon-node')).toBe('backup')
  }
  expect(node.acquired).toBe(6)
})

test('an answer of a node cut in the middle ends with an error event, never with [DONE]', async () => {
  await goodNode('far')
  const response = await stand.post('/v1/chat/completions', chat('!slow', { model: 'far', stream: true }))
  const reader = response.body!.getReader()
  const first = await reader.read()
  let text = Buffer.from(first.value ?? []).toString()
  await dialers[0]?.stop()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    text += Buffer.from(value).toString()
  }
  expect(text).not.toContain('[DONE]')
  expect(text).toMatch(/data: \{"error":\{"message":"[^"]*connection to node far[^"]*"/)
})

test('two credentials of one token: however quick the thief is, one is admitted', async () => {
  const { token } = (await post('/fleet/v1/nodes/token', {})).body
  const answers = await Promise.all(
    Array.from({ length: 5 }, (_, i) => post('/fleet/v1/join', { token, name: `n${i}` })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 409, 409, 409, 409])
})

test('the page lets nobody in who comes from elsewhere or never saw it', async () => {
  const begun = (await post('/fleet/v1/device/code', { client_id: '<b>evil</b>' })).body
  const page = await fetch(String(begun.verification_uri_complete))
  expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
  const html = await page.text()
  expect(html).toContain('&lt;b&gt;evil&lt;/b&gt;')
  expect(html).not.toContain('<b>evil')
  const csrf = /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const decide = (headers: Record<string, string>, form: Record<string, string>) =>
    fetch(`${stand.url}/device`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
      body: new URLSearchParams({ user_code: String(begun.user_code), decision: 'approve', ...form }),
    }).then(({ status }) => status)
  expect(await decide({ origin: 'http://localhost:9' }, { csrf })).toBe(403)
  expect(await decide({ origin: 'https://evil.example' }, { csrf })).toBe(403)
  expect(await decide({ 'sec-fetch-site': 'same-site' }, { csrf })).toBe(403)
  expect(await decide({ origin: stand.url }, { csrf: 'guessed' })).toBe(403)
  const poll = () =>
    post('/fleet/v1/device/token', {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: begun.device_code,
    })
  expect((await poll()).body).toEqual({ error: 'authorization_pending' })
  expect(await decide({ origin: stand.url }, { csrf })).toBe(200)
  const polls = await Promise.all([poll(), poll(), poll()])
  expect(polls.filter(({ status }) => status === 200)).toHaveLength(1)
})

test('a credential opens no door but the tunnel, and nothing but a tunnel is opened there', async () => {
  const { credential, nodeId } = await admit('x')
  const asNode = { authorization: `Bearer ${credential}`, 'x-holon-node': nodeId }
  expect((await fetch(`${stand.url}/fleet/v1/tunnel`, { headers: asNode })).status).toBe(404)
  expect((await post('/fleet/v1/leave', { nodeId, credential: `${credential}x` })).status).toBe(401)
  expect((await post('/fleet/v1/leave', { nodeId, credential })).status).toBe(200)
  expect((await post('/fleet/v1/leave', { nodeId, credential })).status).toBe(403)
})

test('tokens cannot be tried out', async () => {
  const statuses: number[] = []
  for (let at = 0; at < 14; at++) {
    statuses.push((await post('/fleet/v1/join', { token: `hjoin_${at}`, name: 'x' })).status)
  }
  const firstRefusal = statuses.indexOf(429)
  expect(firstRefusal).toBeGreaterThan(3)
  expect(firstRefusal).toBeLessThanOrEqual(10)
  expect(new Set(statuses.slice(0, firstRefusal))).toEqual(new Set([401]))
  expect(new Set(statuses.slice(firstRefusal))).toEqual(new Set([429]))
})
