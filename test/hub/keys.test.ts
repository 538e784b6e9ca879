/** Keys as clients and owners meet them: over HTTP, on a hub with a fake engine behind it. */
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import OpenAI from 'openai'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { Keys } from '../../src/hub/auth/keys.ts'
import { hashOf } from '../../src/hub/auth/secrets.ts'
import { createHub } from '../../src/hub/index.ts'
import type { KeyBook } from '../../src/hub/store/key-book.ts'
import { type CreateKeyResponse, type KeyInfo, noLimits } from '../../src/protocol/keys.ts'
import { FakeEngine } from './fake-engine.ts'
import { aModel, FakeNode } from './fake-node.ts'
import { as, make, manage, owner, path, shareStand, stand, start } from './key-stand.ts'
import { chat, errorOf } from './start-hub.ts'

shareStand()

describe('a key', () => {
  test('is shown once, kept as a hash, and lets in by both headers', async () => {
    const { key, info } = await make({ label: 'laptop' })
    expect(key).toMatch(/^hk_[\w-]{43}$/)
    expect(info).toMatchObject({ label: 'laptop', state: 'active', models: null, admin: false })
    expect(key.startsWith(info.hint)).toBe(true)
    expect((await stand.post(path, chat('hello'), as(key))).status).toBe(200)
    const other = await stand.post(path, chat('hello'), {
      headers: { 'content-type': 'application/json', 'x-api-key': key },
    })
    expect(other.status).toBe(200)
    const listed = JSON.stringify(await manage('/fleet/v1/keys'))
    expect(listed).toContain(info.id)
    expect(listed).not.toContain(key)
    expect(listed).not.toMatch(/"hash"/)
  })

  test.each([
    ['none', {}],
    ['wrong', { authorization: 'Bearer hk_wrong' }],
    ['empty', { authorization: 'Bearer ' }],
    ['basic', { authorization: 'Basic dXNlcjpwYXNz' }],
    ['long', { authorization: `Bearer hk_${'x'.repeat(8_000)}` }],
    ['hash-like', { 'x-api-key': 'a'.repeat(64) }],
  ])('that is %s opens nothing', async (_, headers) => {
    for (const where of ['/v1/models', '/fleet/v1/nodes', '/fleet/v1/keys', '/api/tags', '/metrics']) {
      const response = await fetch(stand.url + where, { headers: headers as Record<string, string> })
      expect(response.status).toBe(401)
      expect(response.headers.get('www-authenticate')).toContain('Bearer')
    }
    const refused = await errorOf(
      await fetch(`${stand.url}/v1/models`, { headers: headers as Record<string, string> }),
    )
    expect(refused.error).toMatchObject({
      code: 'invalid_api_key',
      type: 'authentication_error',
      param: null,
    })
  })

  test.each([
    ['percent-encoded', (path: string) => path.replace('/f', '/%66').replace('/m', '/%6d')],
    ['with a detour', (path: string) => `/x/..${path}`],
    ['with an encoded detour', (path: string) => `/x/%2e%2e${path}`],
    ['with a dot', (path: string) => `/.${path}`],
    ['as a whole address', (path: string) => stand.url + path],
  ])('is asked for also where the path is written %s', async (_, spelled) => {
    const { host } = new URL(stand.url)
    const ask = async (method: string, target: string, body = '') => {
      const socket = connect(Number(new URL(stand.url).port), '127.0.0.1')
      socket.end(
        `${method} ${target} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      )
      return (await text(socket)).split('\r\n', 1)[0]
    }
    for (const open of ['/fleet/v1/nodes', '/fleet/v1/keys', '/metrics'])
      expect(await ask('GET', spelled(open)), open).toContain(' 401 ')
    const made = await ask('POST', spelled('/fleet/v1/keys'), '{"label":"stolen","admin":true}')
    expect(made).toContain(' 401 ')
    expect(await ask('GET', spelled('/health'))).toContain(' 200 ')
  })

  test('in the address is not read, and the error says why', async () => {
    const { key } = await make({ label: 'laptop' })
    const response = await fetch(`${stand.url}/v1/models?api_key=${key}`)
    expect(response.status).toBe(401)
    expect((await errorOf(response)).error.message).toContain('address is not read')
  })

  test('is tried out in vain: an address that guesses is slowed down, and the right key still passes', async () => {
    await start()
    const { key } = await make({ label: 'laptop' })
    const statuses: number[] = []
    for (let guess = 0; guess < 100; guess++) {
      const response = await fetch(`${stand.url}/v1/models`, as(`hk_guess${guess}`))
      statuses.push(response.status)
      if (response.status === 429)
        expect(Number(response.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
      await response.arrayBuffer()
    }
    expect(statuses[0]).toBe(401)
    expect(statuses.at(-1)).toBe(429)
    expect((await fetch(`${stand.url}/v1/models`, as(key))).status).toBe(200)
  })

  test('larger than all headers may be is refused before it is read', async () => {
    const response = await fetch(`${stand.url}/v1/models`, as('x'.repeat(20_000)))
    expect(response.status).toBe(431)
  })

  test('expires by the hub’s clock', async () => {
    const { key, info } = await make({ label: 'short', expiresInS: 60 })
    expect(Date.parse(info.expiresAt ?? '') - Date.parse(info.createdAt)).toBe(60_000)
    expect((await fetch(`${stand.url}/v1/models`, as(key))).status).toBe(200)
  })

  test('without admin manages nothing, and is told what it lacks', async () => {
    const { key } = await make({ label: 'user' })
    for (const where of ['/fleet/v1/nodes', '/fleet/v1/keys', '/fleet/v1/events', '/metrics']) {
      const response = await fetch(stand.url + where, as(key))
      expect(response.status).toBe(403)
      expect((await errorOf(response)).error).toMatchObject({
        code: 'key_not_allowed',
        type: 'permission_error',
      })
    }
    const made = await stand.post('/fleet/v1/keys', { label: 'more', admin: true }, as(key))
    expect(made.status).toBe(403)
    const self = await fetch(`${stand.url}/fleet/v1/keys/self`, as(key))
    expect(await self.json()).toMatchObject({ label: 'user', tokensToday: 0 })
  })

  test('with admin manages, and the books name it', async () => {
    const { key, info } = await make({ label: 'ops', admin: true })
    const { info: made } = await make({ label: 'by ops' }, key)
    expect(made.createdBy).toBe(`key ops (${info.id}) at 127.0.0.1`)
    const { entries } = await manage<{ entries: { action: string; key: string; actor: string }[] }>(
      '/fleet/v1/keys/audit',
    )
    expect(entries.slice(0, 2).map(({ action, key: id, actor }) => [action, id, actor])).toEqual([
      ['key.created', made.id, `key ops (${info.id}) at 127.0.0.1`],
      ['key.created', info.id, 'the owner at 127.0.0.1'],
    ])
  })

  test.each([
    [{}, 'label'],
    [{ label: '' }, 'label'],
    [{ label: 'a\u001b[2J' }, 'label'],
    [{ label: 'x', lanes: ['fast'] }, 'lanes'],
    [{ label: 'x', lanes: [] }, 'lanes'],
    [{ label: 'x', models: [] }, 'models'],
    [{ label: 'x', limits: { requestsPerMinute: 0 } }, 'limits'],
    [{ label: 'x', limits: { concurrency: 1.5 } }, 'limits'],
    [{ label: 'x', expiresInS: 1 }, 'expiresInS'],
  ])('asked for as %j is refused', async (wish, param) => {
    const response = await stand.post('/fleet/v1/keys', wish, as(owner))
    expect(response.status).toBe(400)
    expect((await errorOf(response)).error.param).toContain(param)
  })
})

describe('scopes', () => {
  test('of models: lists show what is allowed, the rest is refused by name in every dialect', async () => {
    const node = new FakeNode('', [aModel('other-model'), aModel('third')], 'node-2', 'mini')
    await start({}, [node])
    node.origin = stand.engine.origin
    const { key, info } = await make({ label: 'narrow', models: ['tiny', 'thi*'] })
    expect(info.models).toEqual(['tiny', 'thi*'])
    const rows = (await (await fetch(`${stand.url}/v1/models`, as(key))).json()) as { data: { id: string }[] }
    expect(rows.data.map(({ id }) => id).filter((id) => !id.startsWith('auto'))).toEqual(['tiny', 'third'])
    // Whoever lets the hub choose gets none but those.
    for (let request = 0; request < 6; request++) {
      expect((await stand.post(path, chat('hello', { model: 'auto:best' }), as(key))).status).toBe(200)
    }
    const asked = new Set(stand.engine.seen.map(({ body }) => String(body.model)))
    expect([...asked].filter((name) => name !== 'tiny' && name !== 'third')).toEqual([])
    const tags = (await (await fetch(`${stand.url}/api/tags`, as(key))).json()) as {
      models: { name: string }[]
    }
    expect(tags.models).toHaveLength(2)
    expect((await stand.post(path, chat('hello'), as(key))).status).toBe(200)
    expect((await stand.post(path, chat('hello', { model: 'third' }), as(key))).status).toBe(200)
    const refused = await stand.post(path, chat('hello', { model: 'other-model' }), as(key))
    expect(refused.status).toBe(403)
    expect((await errorOf(refused)).error).toMatchObject({
      code: 'key_not_allowed',
      param: 'model',
      message: expect.stringContaining('The key "narrow" may not use the model "other-model"'),
    })
    const ollama = await stand.post('/api/chat', chat('hello', { model: 'other-model' }), as(key))
    expect([ollama.status, typeof ((await ollama.json()) as { error: unknown }).error]).toEqual([
      403,
      'string',
    ])
    const messages = { model: 'other-model', max_tokens: 5, messages: [{ role: 'user', content: 'x' }] }
    expect((await stand.post('/v1/messages', messages, as(key))).status).toBe(403)
    expect((await stand.post('/v1/responses', { model: 'other-model', input: 'x' }, as(key))).status).toBe(
      403,
    )
    expect((await stand.post('/api/show', { model: 'other-model' }, as(key))).status).toBe(403)
    expect((await fetch(`${stand.url}/v1/models/other-model`, as(key))).status).toBe(404)
    // A model that nobody has is not told to be forbidden.
    const unknown = await stand.post(path, chat('hello', { model: 'nowhere' }), as(key))
    const described = await fetch(`${stand.url}/v1/models/nowhere`, as(key))
    for (const response of [unknown, described]) {
      expect(response.status).toBe(404)
      expect((await errorOf(response)).error.message).not.toContain('other-model')
    }
    const unload = await stand.post('/api/generate', { model: 'tiny', keep_alive: 0 }, as(key))
    expect(unload.status).toBe(403)
  })

  test('of lanes: another lane is refused', async () => {
    const { key } = await make({ label: 'batch', lanes: ['research'] })
    const refused = await stand.post(path, chat('hello'), as(key))
    expect(refused.status).toBe(403)
    expect((await errorOf(refused)).error.message).toContain('may not use the lane "production"')
    // To have a model loaded is to use it.
    for (const more of [{}, { prompt: 'hello', options: { num_ctx: 8_192 } }]) {
      const loading = await stand.post('/api/generate', { model: 'tiny', ...more }, as(key))
      expect(loading.status).toBe(403)
    }
    expect(stand.node.loads).toEqual([])
  })

  test('that match nothing here are told to whoever makes the key', async () => {
    const made = await make({ label: 'later', models: ['llama3.1:8b'] })
    expect(made.warnings).toEqual([expect.stringContaining('No model here is named')])
  })
})

describe('limits', () => {
  test('of requests: counted down in the headers, then 429 with the time to wait', async () => {
    const { key } = await make({ label: 'slow', limits: { requestsPerMinute: 2 } })
    const first = await stand.post(path, chat('hello'), as(key))
    expect(first.headers.get('x-ratelimit-limit-requests')).toBe('2')
    expect(first.headers.get('x-ratelimit-remaining-requests')).toBe('1')
    expect(first.headers.get('x-ratelimit-reset-requests')).toMatch(/^\d+(?:ms|s)$/)
    await stand.post(path, chat('hello', { stream: true }), as(key)).then((response) => response.text())
    const refused = await stand.post(path, chat('hello'), as(key))
    expect(refused.status).toBe(429)
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
    expect(refused.headers.get('x-ratelimit-remaining-requests')).toBe('0')
    expect((await errorOf(refused)).error).toMatchObject({
      code: 'rate_limit_exceeded',
      type: 'rate_limit_error',
    })
    // Lists are no answers, and others are not concerned.
    expect((await fetch(`${stand.url}/v1/models`, as(key))).status).toBe(200)
    expect((await stand.post(path, chat('hello'), as(owner))).status).toBe(200)
  })

  test('of tokens: a quota that is used up says so, and OpenAI’s client understands it', async () => {
    const { key, info } = await make({ label: 'team', limits: { tokensPerDay: 5 } })
    await (await stand.post(path, chat('hello'), as(key))).text()
    await expect
      .poll(
        async () =>
          (await manage<{ keys: KeyInfo[] }>('/fleet/v1/keys')).keys.find(({ id }) => id === info.id)
            ?.tokensToday,
      )
      .toBeGreaterThan(5)
    const client = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: key, maxRetries: 0 })
    const failure = await client.chat.completions
      .create({ model: 'tiny', messages: [{ role: 'user', content: 'hello' }] })
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(OpenAI.RateLimitError)
    expect(failure).toMatchObject({ status: 429, code: 'insufficient_quota' })
    const { usage } = await manage<{ usage: { keyId: string; requests: number; promptTokens: number }[] }>(
      '/fleet/v1/keys/usage',
    )
    expect(usage.find(({ keyId }) => keyId === info.id)).toMatchObject({
      requests: 1,
      promptTokens: expect.any(Number),
    })
  })

  test('of what is under way: one more is refused until one has ended or its client has left', async () => {
    const { key } = await make({ label: 'single', limits: { concurrency: 1 } })
    const leaving = new AbortController()
    const first = await stand.post(path, chat('!stall', { stream: true }), {
      ...as(key),
      signal: leaving.signal,
    })
    expect((await stand.post(path, chat('hello'), as(key))).status).toBe(429)
    leaving.abort()
    await first.text().catch(() => undefined)
    await expect.poll(async () => (await stand.post(path, chat('hello'), as(key))).status).toBe(200)
    for (let request = 0; request < 20; request++) {
      const response = await stand.post(path, chat('hello', { stream: request % 2 === 0 }), as(key))
      expect(response.status).toBe(200)
      await response.text()
    }
  })
})

describe('on this machine alone', () => {
  test('anybody may until there is a key; then only keys and the owner’s own commands', async () => {
    await start({ apiKey: undefined, localKey: 'of-this-machine' })
    expect((await stand.post(path, chat('hello'), as('none'))).status).toBe(200)
    const made = await stand.post('/fleet/v1/keys', { label: 'first' })
    const { key, info, warnings } = (await made.json()) as CreateKeyResponse
    expect(warnings).toEqual([expect.stringContaining('answers nobody without a key')])
    expect((await fetch(`${stand.url}/v1/models`)).status).toBe(401)
    expect((await fetch(`${stand.url}/v1/models`, as('none'))).status).toBe(401)
    expect((await fetch(`${stand.url}/v1/models`, as(key))).status).toBe(200)
    expect((await fetch(`${stand.url}/fleet/v1/keys`, as('of-this-machine'))).status).toBe(200)
    // A leaked last key that is revoked must not open the hub to all who reach it through a proxy.
    await stand.post('/fleet/v1/keys/revoke', { key: info.id }, as('of-this-machine'))
    expect((await fetch(`${stand.url}/v1/models`)).status).toBe(401)
    await stand.post('/fleet/v1/keys/forget', { key: info.id }, as('of-this-machine'))
    expect((await fetch(`${stand.url}/v1/models`)).status).toBe(200)
  })
})

test('outlives the hub, with what it has used of its quota', async () => {
  const engine = new FakeEngine()
  await engine.start()
  const home = await mkdtemp(join(tmpdir(), 'holon-keys-'))
  const open = async () => {
    const config = { host: '127.0.0.1', port: 0, version: '1', home, apiKey: owner }
    const hub = createHub({
      config,
      nodes: [new FakeNode(engine.origin)],
      clock: systemClock,
      log: silentLog,
    })
    const { url } = await hub.listen()
    const send = (key: string, where: string, body?: object) =>
      fetch(url + where, { method: body ? 'POST' : 'GET', ...as(key), body: body && JSON.stringify(body) })
    return { hub, send }
  }
  const first = await open()
  const made = await first.send(owner, '/fleet/v1/keys', { label: 'daily', limits: { tokensPerMonth: 5 } })
  const { key } = (await made.json()) as CreateKeyResponse
  expect((await first.send(key, path, chat('hello'))).status).toBe(200)
  await first.hub.close(200)
  const second = await open()
  const self = (await (await second.send(key, '/fleet/v1/keys/self')).json()) as KeyInfo
  expect(self).toMatchObject({ label: 'daily', tokensThisMonth: expect.any(Number) })
  expect(self.tokensThisMonth).toBeGreaterThan(5)
  const refused = await second.send(key, path, chat('hello'))
  expect([refused.status, (await errorOf(refused)).error.code]).toEqual([429, 'insufficient_quota'])
  await second.hub.close(200)
  await engine.stop()
  await rm(home, { recursive: true, force: true })
})

test('ten thousand keys cost a request no more than one look-up, and one more is refused', async () => {
  const records = Array.from({ length: 10_000 }, (_, index) => ({
    id: `key_${index}`,
    hash: hashOf(`hk_${index}`),
    hint: 'hk_',
    label: `key ${index}`,
    models: null,
    lanes: ['production' as const],
    admin: false,
    limits: noLimits,
    createdBy: 'test',
    createdMs: 0,
    expiresMs: null,
    revokedMs: null,
    revokedBy: null,
  }))
  const book = { mayHaveKeys: async () => true, all: async () => records } as unknown as InstanceType<
    typeof KeyBook
  >
  const keys = new Keys({
    book,
    clock: systemClock,
    log: silentLog,
    loopback: true,
    ownerSecrets: [],
    closed: false,
  })
  await keys.load()
  expect(keys.callerWith('hk_9999')?.name).toBe('key 9999')
  expect(keys.callerWith('hk_10000')).toBeNull()
  const wish = { label: 'more', models: null, lanes: [], admin: false, expiresInS: null, limits: noLimits }
  await expect(keys.create(wish, 'test')).rejects.toMatchObject({ code: 'usage' })
  keys.close()
})
