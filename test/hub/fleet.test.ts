/** The management API, the page, and who may call. */
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { createHub } from '../../src/hub/index.ts'
import {
  historyResponse,
  modelsResponse,
  nodesResponse,
  psResponse,
  statusResponse,
  usageResponse,
} from '../../src/protocol/fleet.ts'
import { aModel } from './fake-node.ts'
import { chat, errorOf, type Stand, startStand } from './start-hub.ts'

let stand: Stand
let assets: string
beforeAll(async () => {
  assets = await mkdtemp(join(tmpdir(), 'holon-assets-'))
  await mkdir(join(assets, 'page/assets'), { recursive: true })
  await writeFile(join(assets, 'page/index.html'), '<!doctype html><title>Holon</title>')
  await writeFile(join(assets, 'page/assets/app-B3dK9xQz.js'), 'let x = 1')
  await writeFile(join(assets, 'secret.txt'), 'a treasure')
  await symlink(join(assets, 'secret.txt'), join(assets, 'page/link.txt'))
  stand = await startStand({ assetsDir: join(assets, 'page') })
  stand.node.models = [aModel('tiny'), aModel('other', { state: 'disk' })]
})
afterAll(async () => {
  await stand.stop()
  await rm(assets, { recursive: true, force: true })
})

const get = (path: string, init?: RequestInit) => fetch(stand.url + path, init)

describe('/fleet/v1', () => {
  test('answers in the shapes of its schemas', async () => {
    const checks: [string, z.ZodType][] = [
      ['/fleet/v1/nodes', nodesResponse],
      ['/fleet/v1/models', modelsResponse],
      ['/fleet/v1/ps', psResponse],
      ['/fleet/v1/status', statusResponse],
    ]
    for (const [path, schema] of checks) {
      const response = await get(path)
      expect(response.status).toBe(200)
      schema.parse(await response.json())
    }
    const status = statusResponse.parse(await (await get('/fleet/v1/status')).json())
    expect(status).toMatchObject({
      version: '0.0.0-test',
      pid: process.pid,
      url: stand.url,
      advice: 'Pull a real model.',
    })
  })

  test('loads and unloads, and refuses what it does not understand', async () => {
    const load = await stand.post('/fleet/v1/models/load', { model: 'other', contextTokens: 2048 })
    expect(await load.json()).toEqual({ model: 'other', node: 'node-1', state: 'ready' })
    expect(stand.node.loads.at(-1)).toMatchObject({ id: 'other', contextTokens: 2048 })
    const unload = await stand.post('/fleet/v1/models/unload', { model: 'tiny' })
    expect(await unload.json()).toEqual({ model: 'tiny', nodes: ['node-1'], wasInMemory: true })
    const again = await stand.post('/fleet/v1/models/unload', { model: 'tiny' })
    expect(again.status).toBe(404)
    stand.node.models = [aModel('tiny'), aModel('other', { state: 'disk' })]
    const wrong = await stand.post('/fleet/v1/models/load', { model: 'other', contextTokens: 'long' })
    expect(wrong.status).toBe(400)
    expect((await errorOf(wrong)).error.param).toBe('contextTokens')
    expect((await stand.post('/fleet/v1/models/load', { model: 'none' })).status).toBe(404)
    expect((await stand.post('/fleet/v1/models/load', '{')).status).toBe(400)
    expect((await stand.post('/fleet/v1/models/load', 'x'.repeat(2e6))).status).toBe(413)
    expect((await get('/fleet/v1/models/load')).status).toBe(405)
  })

  test('describes itself with the same schemas', async () => {
    const description = (await (await get('/openapi.json')).json()) as {
      openapi: string
      paths: Record<string, object>
    }
    expect(description.openapi).toBe('3.1.0')
    for (const path of [
      'nodes',
      'models',
      'ps',
      'status',
      'usage',
      'events',
      'models/load',
      'models/unload',
    ]) {
      expect(Object.keys(description.paths)).toContain(`/fleet/v1/${path}`)
    }
    expect(description.paths['/fleet/v1/models/load']).toMatchObject({
      post: { requestBody: { content: { 'application/json': { schema: { required: ['model'] } } } } },
    })
  })

  test('sends events: the nodes at once, an answer when it ends, the nodes when they change', async () => {
    const controller = new AbortController()
    const response = await get('/fleet/v1/events', { signal: controller.signal })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    let text = ''
    const reading = (async () => {
      for await (const chunk of response.body!) text += Buffer.from(chunk).toString()
    })().catch(() => undefined)
    await expect.poll(() => text).toMatch(/^event: nodes\ndata: \{.*\}\n\n/)
    await (await stand.post('/v1/chat/completions', chat('hello', { stream: true }))).text()
    await expect.poll(() => text).toMatch(/event: answer\ndata: .*"completionTokens":4.*"decodeTokS":100/)
    stand.node.changed()
    await expect.poll(() => text.match(/event: nodes/g)?.length).toBe(2)
    controller.abort()
    await reading
  })

  test('counts usage per model, errors included', async () => {
    await (await stand.post('/v1/chat/completions', chat('hello'))).text()
    await (await stand.post('/v1/chat/completions', chat('!fail'))).text()
    const response = await get('/fleet/v1/usage')
    const { usage } = usageResponse.parse(await response.json())
    const row = usage.find((candidate) => candidate.model === 'tiny')
    expect(row?.requests).toBeGreaterThanOrEqual(2)
    expect(row?.errors).toBeGreaterThanOrEqual(1)
    expect(row?.promptTokens).toBeGreaterThanOrEqual(7)
    const { events } = historyResponse.parse(await (await get('/fleet/v1/history')).json())
    expect(events.map((event) => event.type)).toEqual(
      expect.arrayContaining(['hub.started', 'node.ready', 'model.ready']),
    )
  }, 60_000)
})

describe('health and metrics', () => {
  test('say that it lives and is ready', async () => {
    expect(await (await get('/health')).json()).toEqual({ status: 'ok', version: '0.0.0-test' })
    expect((await get('/readyz')).status).toBe(200)
  })

  test('count requests, tokens and times per model', async () => {
    await (await stand.post('/v1/chat/completions', chat('hello', { stream: true }))).text()
    const response = await get('/metrics')
    expect(response.headers.get('content-type')).toContain('text/plain')
    const text = await response.text()
    expect(text).toMatch(/holon_requests_total\{model="tiny",node="node-1",endpoint="chat",status="200"\} \d/)
    expect(text).toMatch(/holon_tokens_total\{model="tiny",kind="completion"\} \d/)
    expect(text).toMatch(/holon_time_to_first_token_seconds_bucket\{model="tiny",le="\+Inf"\} [1-9]/)
    expect(text).toMatch(/holon_inter_token_seconds_count\{model="tiny"\} \d/)
    expect(text).toMatch(/holon_requests_in_flight 0/)
  })
})

describe('the page', () => {
  test('is served with type, etag, cache and a content security policy', async () => {
    const page = await get('/')
    expect(page.headers.get('content-type')).toContain('text/html')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
    expect(page.headers.get('cache-control')).toBe('no-cache')
    const again = await get('/', { headers: { 'if-none-match': page.headers.get('etag')! } })
    expect(again.status).toBe(304)
    const script = await get('/assets/app-B3dK9xQz.js')
    expect(script.headers.get('content-type')).toContain('text/javascript')
    expect(script.headers.get('cache-control')).toContain('immutable')
  })

  test.each([
    '/../secret.txt',
    '/%2e%2e/secret.txt',
    '/%252e%252e/secret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '/link.txt',
    '/..\\secret.txt',
    '/index.html%00.js',
    '/assets',
    '/%',
  ])('does not give away what lies outside (%s)', async (path) => {
    // fetch would tidy the path up before sending it.
    const req = httpRequest(stand.url, { path })
    req.end()
    const [response] = await once(req, 'response')
    expect([400, 404]).toContain(response.statusCode)
    let body = ''
    for await (const chunk of response) body += String(chunk)
    expect(body).not.toContain('treasure')
  })
})

describe('a caller', () => {
  const call = async (method: string, path: string, headers: Record<string, string>) => {
    const req = httpRequest(stand.url + path, { method, headers })
    req.end(method === 'POST' ? JSON.stringify(chat('hello')) : undefined)
    const [response] = await once(req, 'response')
    response.resume()
    return response as { statusCode: number; headers: Record<string, string> }
  }

  test('by a foreign name is refused (DNS rebinding)', async () => {
    expect((await call('GET', '/v1/models', { host: 'evil.example' })).statusCode).toBe(403)
    expect((await call('GET', '/v1/models', { host: 'localhost:4656' })).statusCode).toBe(200)
    expect((await call('GET', '/v1/models', { host: '[::1]:4656' })).statusCode).toBe(200)
    expect((await call('GET', '/v1/models', { host: 'localhost.evil.example' })).statusCode).toBe(403)
  })

  test('from a foreign page is refused', async () => {
    const chatPath = '/v1/chat/completions'
    expect((await call('POST', chatPath, { origin: 'https://evil.example' })).statusCode).toBe(403)
    expect((await call('POST', chatPath, { origin: 'null' })).statusCode).toBe(403)
    expect((await call('POST', chatPath, { 'sec-fetch-site': 'cross-site' })).statusCode).toBe(403)
    expect(
      (await call('POST', '/fleet/v1/models/unload', { origin: 'https://evil.example' })).statusCode,
    ).toBe(403)
    const read = await call('GET', '/v1/models', { origin: 'https://evil.example' })
    expect(read.headers['access-control-allow-origin']).toBeUndefined()
  })

  test('from another page of this machine is let in, with CORS', async () => {
    const origin = 'http://localhost:3000'
    const answer = await call('POST', '/v1/chat/completions', { origin })
    expect(answer.statusCode).toBe(200)
    expect(answer.headers['access-control-allow-origin']).toBe(origin)
    const preflight = await call('OPTIONS', '/v1/chat/completions', {
      origin,
      'access-control-request-headers': 'authorization, x-stainless-os',
    })
    expect(preflight.statusCode).toBe(204)
    expect(preflight.headers['access-control-allow-headers']).toContain('x-stainless-os')
  })
})

describe('starting', () => {
  const hubAt = (home: string, port: number, host = '127.0.0.1', apiKey?: string) =>
    createHub({
      config: { host, port, version: '1', home, apiKey },
      nodes: [],
      clock: systemClock,
      log: silentLog,
    })

  test('on a port in use says who is there', async () => {
    const home = await mkdtemp(join(tmpdir(), 'holon-hub-'))
    const port = Number(new URL(stand.url).port)
    await expect(hubAt(home, port).listen()).rejects.toMatchObject({
      code: 'port_in_use',
      message: `Port ${port} on 127.0.0.1 is already in use by Holon 0.0.0-test (process ${process.pid}).`,
    })
    await rm(home, { recursive: true })
  })

  test('on a home in use is refused, and possible again once it is closed', async () => {
    const home = await mkdtemp(join(tmpdir(), 'holon-hub-'))
    const first = hubAt(home, 0)
    await first.listen()
    await expect(hubAt(home, 0).listen()).rejects.toMatchObject({ code: 'already_running' })
    await first.close()
    const second = hubAt(home, 0)
    await second.listen()
    await second.close()
    await rm(home, { recursive: true })
  })

  test('on the network needs a key, which then guards all but health and page', async () => {
    const home = await mkdtemp(join(tmpdir(), 'holon-hub-'))
    await expect(hubAt(home, 0, '0.0.0.0').listen()).rejects.toThrow(/needs a key/)
    const hub = hubAt(home, 0, '127.0.0.1', 'long-secret')
    const { url } = await hub.listen()
    const status = async (path: string, key?: string) =>
      (await fetch(url + path, { headers: key ? { authorization: `Bearer ${key}` } : {} })).status
    expect(await status('/v1/models')).toBe(401)
    expect(await status('/models')).toBe(401)
    expect(await status('/fleet/v1/nodes')).toBe(401)
    expect(await status('/fleet/v1/events')).toBe(401)
    expect(await status('/metrics', 'wrong')).toBe(401)
    expect(await status('/v1/models', 'long-secret')).toBe(200)
    expect(await status('/health')).toBe(200)
    expect(await status('/')).toBe(200)
    expect(await status('/readyz')).toBe(503)
    await hub.close()
    await rm(home, { recursive: true })
  })
})
