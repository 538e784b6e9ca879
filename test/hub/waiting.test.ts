/** Cold models, busy engines, clients that leave or do not read: nobody hangs, nothing grows. */
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { afterEach, expect, test } from 'vitest'
import { HolonError } from '../../src/core/errors.ts'
import { aModel, FakeNode } from './fake-node.ts'
import { chat, errorOf, type Stand, startStand } from './start-hub.ts'

let stand: Stand
afterEach(() => stand.stop())
const path = '/v1/chat/completions'

function gate(): { open: () => void; passed: Promise<void> } {
  let open = (): void => undefined
  const passed = new Promise<void>((resolve) => {
    open = resolve
  })
  return { open, passed }
}

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`${stand.url}/metrics`)).text()
  return Number(new RegExp(`^${name}(?:{[^}]*})? (\\S+)`, 'm').exec(text)?.[1])
}

test('a stream to a cold model gets 200, the progress as comments, and then the answer', async () => {
  stand = await startStand({ limits: { streamHeadMs: 100 } })
  const { open, passed } = gate()
  stand.node.models = [aModel('tiny', { state: 'disk' })]
  stand.node.loader = (report) => {
    report({ phase: 'reading weights', percent: 40, etaS: 2 })
    return passed
  }
  const response = await stand.post(path, chat('hello', { stream: true }))
  expect(response.status).toBe(200)
  expect(response.headers.get('x-holon-route')).toMatch(
    /^loads from disk; only node with this model; below production level/,
  )
  open()
  const text = await response.text()
  expect(text).toMatch(/^: loading 40 % \(reading weights\)\n\n/)
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
})

test('a stream whose model fails to load ends with the error as an event', async () => {
  stand = await startStand({ limits: { streamHeadMs: 100 } })
  const { open, passed } = gate()
  stand.node.models = [aModel('tiny', { state: 'disk' })]
  stand.node.loader = async () => {
    await passed
    throw new HolonError('model_too_big', 'It needs 90 GB and 16 are free.')
  }
  const response = await stand.post(path, chat('hello', { stream: true }))
  expect(response.status).toBe(200)
  open()
  const text = await response.text()
  expect(text).toContain('"code":"model_too_big"')
  expect(text).not.toContain('[DONE]')
})

test('any other request to a cold model is told to come back, and finds it warm', async () => {
  stand = await startStand({ limits: { coldMs: 300 } })
  const { open, passed } = gate()
  stand.node.models = [aModel('tiny', { state: 'disk' })]
  stand.node.loader = (report) => {
    report({ phase: 'reading weights', percent: 55, etaS: 7 })
    return passed
  }
  const response = await stand.post(path, chat('hello'))
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('7')
  const body = await errorOf(response)
  expect(body.error.code).toBe('model_loading')
  expect(body.loading).toEqual({ phase: 'reading weights', percent: 55, etaS: 7 })
  open()
  // The load went on without the request; its lease was given back.
  await expect.poll(() => stand.node.models[0]?.state).toBe('ready')
  await expect.poll(() => stand.node.held).toBe(0)
  expect((await stand.post(path, chat('hello'))).status).toBe(200)
})

test('a load that fails at once gets its own status, streamed or not', async () => {
  stand = await startStand()
  stand.node.failure = new HolonError('model_file_invalid', 'The file is cut.')
  expect((await stand.post(path, chat('hello'))).status).toBe(422)
  const streamed = await stand.post(path, chat('hello', { stream: true }))
  expect(streamed.status).toBe(422)
  expect((await errorOf(streamed)).error.code).toBe('model_file_invalid')
})

test('five hundred at once are all answered, never more at the engine than it takes', async () => {
  stand = await startStand()
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, index) => stand.post(path, chat('hello', { stream: index % 2 === 0 }))),
  )
  const texts = await Promise.all(answers.map((answer) => answer.text()))
  expect(answers.filter((answer) => answer.status === 200)).toHaveLength(500)
  expect(texts.filter((text) => text.includes('word1'))).toHaveLength(500)
  expect(stand.engine.maxInFlight).toBeLessThanOrEqual(stand.node.parallel)
  expect(stand.node.held).toBe(0)
  expect(await metric('holon_requests_waiting')).toBe(0)
}, 60_000)

test('beyond the bound of the queue a request is told when to come back', async () => {
  stand = await startStand({ limits: { maxWaiting: 3 } })
  stand.node.parallel = 1
  const hanging = Array.from({ length: 4 }, () => {
    const controller = new AbortController()
    const answer = stand.post(path, chat('!hang'), {
      signal: controller.signal,
      headers: { 'content-type': 'application/json' },
    })
    return { controller, answer: answer.catch(() => null) }
  })
  await expect.poll(() => metric('holon_requests_waiting')).toBe(3)
  const refused = await stand.post(path, chat('hello'))
  expect(refused.status).toBe(503)
  expect((await errorOf(refused)).error.code).toBe('overloaded')
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  for (const { controller } of hanging) controller.abort()
  await Promise.all(hanging.map(({ answer }) => answer))
  await expect.poll(() => metric('holon_requests_waiting')).toBe(0)
  await expect.poll(() => metric('holon_requests_in_flight')).toBe(0)
  expect((await stand.post(path, chat('hello'))).status).toBe(200)
})

test('a stream that waits for its turn is told its place', async () => {
  stand = await startStand({ limits: { streamHeadMs: 100 } })
  stand.node.parallel = 1
  const controller = new AbortController()
  const hanging = stand
    .post(path, chat('!hang'), { signal: controller.signal, headers: {} })
    .catch(() => null)
  await expect.poll(() => stand.engine.inFlight).toBe(1)
  const response = await stand.post(path, chat('hello', { stream: true }))
  controller.abort()
  await hanging
  const text = await response.text()
  expect(text.startsWith(': queued position=1\n\n')).toBe(true)
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
})

test('an engine that dies while requests wait for it costs them nothing', async () => {
  stand = await startStand()
  stand.node.parallel = 1
  const first = stand.post(path, chat('!hang'))
  await expect.poll(() => stand.engine.inFlight).toBe(1)
  const waiting = stand.post(path, chat('hello'))
  await expect.poll(() => metric('holon_requests_waiting')).toBe(1)
  const successor = new FakeNode(stand.engine.origin)
  stand.node.kill('it was out of memory', successor.origin)
  // The one in flight is tried once more, hangs again, and dies with the second engine.
  await expect.poll(() => stand.engine.seen.length).toBeGreaterThan(1)
  stand.node.kill('it was out of memory again')
  expect((await errorOf(await first)).error.code).toBe('engine_crashed')
  expect((await waiting).status).toBe(200)
})

/** Opens a request and hands over its response without reading it. */
async function openStream(text: string): Promise<IncomingMessage> {
  const req = httpRequest(`${stand.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
  })
  req.on('error', () => undefined)
  req.end(JSON.stringify(chat(text, { stream: true })))
  const [response] = await once(req, 'response')
  response.on('error', () => undefined)
  return response as IncomingMessage
}

test('a client that does not read costs bounded memory, and the engine waits for it', async () => {
  stand = await startStand()
  const response = await openStream('!flood')
  let before = -1
  await expect
    .poll(
      () => {
        const still = stand.engine.flooded === before && before > 0
        before = stand.engine.flooded
        return still
      },
      { interval: 400, timeout: 20_000 },
    )
    .toBe(true)
  // What left the engine is in the kernel's buffers of two connections and a few chunks: far from the 64 MiB.
  expect(stand.engine.flooded).toBeLessThan(32 * 1024 * 1024)
  response.destroy()
  await expect.poll(() => stand.engine.inFlight, { timeout: 10_000 }).toBe(0)
  await expect.poll(() => stand.node.held).toBe(0)
})

test('a client that reads slowly gets the whole answer', async () => {
  stand = await startStand()
  const response = await openStream('!slow')
  let text = ''
  for await (const chunk of response) {
    text += String(chunk)
    await new Promise((resolve) => setTimeout(resolve, 40))
  }
  expect(text.match(/word\d+/g)).toHaveLength(20)
  expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
})

test('a client that leaves while its model loads or its turn comes leaves nothing behind', async () => {
  stand = await startStand()
  const { open, passed } = gate()
  stand.node.models = [aModel('tiny', { state: 'disk' })]
  stand.node.loader = () => passed
  const controller = new AbortController()
  const answer = stand.post(path, chat('hello'), { signal: controller.signal, headers: {} }).catch(() => null)
  await expect.poll(() => stand.node.acquired).toBe(1)
  controller.abort()
  await answer
  await expect.poll(() => metric('holon_requests_waiting')).toBe(0)
  open()
  await expect.poll(() => stand.node.models[0]?.state).toBe('ready')
  expect(stand.node.held).toBe(0)
  expect(stand.engine.seen).toHaveLength(0)
})

test('a request whose deadline passes while its model loads has no other node load it too', async () => {
  const { open, passed } = gate()
  const cold = () => [aModel('tiny', { state: 'disk' })]
  const others = ['node-2', 'node-3'].map((id) => new FakeNode('http://127.0.0.1:1', cold(), id, id))
  stand = await startStand({}, others)
  stand.node.models = cold()
  const all = [stand.node, ...others]
  for (const node of all) node.loader = () => passed
  const response = await stand.post(path, chat('hello'), {
    headers: { 'content-type': 'application/json', 'x-holon-deadline': '0.05' },
  })
  expect(response.status).toBe(504)
  expect((await errorOf(response)).error.code).toBe('deadline_exceeded')
  expect(all.reduce((sum, node) => sum + node.acquired, 0)).toBe(1)
  open()
})

test('an engine that never begins, or goes silent, is a timeout and not waited for twice', async () => {
  stand = await startStand({ limits: { headersMs: 300, idleMs: 300 } })
  const never = await stand.post(path, chat('!hang'))
  expect(never.status).toBe(504)
  expect((await errorOf(never)).error).toMatchObject({ code: 'engine_timeout', source: 'engine' })
  expect(stand.engine.seen).toHaveLength(1)
  const silent = await stand.post(path, chat('!stall', { stream: true }))
  expect(await silent.text()).toContain('"code":"engine_timeout"')
  await expect.poll(() => stand.engine.inFlight).toBe(0)
})

test('closing lets a running answer end, and cuts one that does not', async () => {
  stand = await startStand()
  const slow = await stand.post(path, chat('!slow', { stream: true }))
  const stuck = await stand.post(path, chat('!stall', { stream: true }))
  const closing = stand.hub.close(2000)
  expect(await slow.text()).toContain('[DONE]')
  await expect(stuck.text()).rejects.toThrow()
  await closing
  await expect(fetch(`${stand.url}/health`)).rejects.toThrow()
})
