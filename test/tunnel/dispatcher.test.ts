/** A tunnel in the place of an undici pool. */
import { createHash } from 'node:crypto'
import { PassThrough, Readable } from 'node:stream'
import { type Dispatcher, request, stream } from 'undici'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { maxOpenStreams } from '../../src/tunnel/limits.ts'
import type { TunnelHandler } from '../../src/tunnel/node-handler.ts'
import type { TunnelSession } from '../../src/tunnel/session.ts'
import { dialTo, echo, startHub, type TestHub, until } from './harness.ts'

let hub: TestHub
let stopNode: () => Promise<void>
let session: TunnelSession
let handler: TunnelHandler = echo

beforeAll(async () => {
  hub = await startHub()
  const node = dialTo(hub, 'm1', { handler: (incoming, response) => handler(incoming, response) })
  stopNode = () => node.stop()
  session = await hub.next()
})
afterAll(async () => {
  await stopNode()
  await hub.close()
})
beforeEach(() => {
  handler = echo
  expect(session.stats().openStreams).toBe(0)
})

const call = (options: Partial<Dispatcher.DispatchOptions> = {}) =>
  session.request({ path: '/', method: 'GET', ...options } as Dispatcher.RequestOptions)

/** What the relay of the hub does: undici's newer handler, by hand. */
function collect(options: Partial<Dispatcher.DispatchOptions>, on: Partial<Dispatcher.DispatchHandler> = {}) {
  return new Promise<{ status: number; headers: object; body: Buffer }>((resolve, reject) => {
    const chunks: Buffer[] = []
    let status = 0
    let headers: object = {}
    session.dispatcher.dispatch({ path: '/', method: 'GET', ...options } as Dispatcher.DispatchOptions, {
      onRequestStart: () => undefined,
      onResponseStart: (_, code, given) => {
        status = code
        headers = given
      },
      onResponseData: (_, chunk) => void chunks.push(chunk),
      onResponseEnd: () => resolve({ status, headers, body: Buffer.concat(chunks) }),
      onResponseError: (_, error) => reject(error),
      ...on,
    })
  })
}

test("undici's own request and stream take the tunnel for a pool", async () => {
  const dispatcher = session.dispatcher
  const answer = await request('http://node/a', {
    dispatcher,
    method: 'POST',
    body: 'hi',
    query: { q: 'a b' },
  })
  expect(answer.headers['x-path']).toBe('/a?q=a+b')
  expect(await answer.body.text()).toBe('hi')
  const sink = new PassThrough()
  await stream('http://node/b', { dispatcher, method: 'POST', body: 'streamed', opaque: sink }, () => sink)
  expect(sink.read().toString()).toBe('streamed')
})

test('status, headers and body arrive; the headers of a hop and the pseudo headers do not', async () => {
  let seen: Record<string, unknown> = {}
  handler = (incoming, response) => {
    seen = { ...incoming.headers }
    response.writeHead(503, { 'retry-after': '3', 'set-cookie': ['a=1', 'b=2'] })
    response.end('busy')
  }
  const answer = await collect({
    headers: {
      authorization: 'Bearer x',
      connection: 'close, x-hop',
      'x-hop': '1',
      host: 'evil',
      'X-Mixed': 'Case',
    },
    origin: 'http://engine-2:8080',
  })
  expect(answer.status).toBe(503)
  expect(answer.body.toString()).toBe('busy')
  expect(answer.headers).toMatchObject({ 'retry-after': '3', 'set-cookie': ['a=1', 'b=2'] })
  expect(Object.keys(answer.headers).filter((name) => name.startsWith(':'))).toEqual([])
  expect(seen).toMatchObject({ authorization: 'Bearer x', 'x-mixed': 'Case', ':authority': 'engine-2:8080' })
  expect(seen).not.toHaveProperty('x-hop')
  expect(seen).not.toHaveProperty('host')
})

test.each(['string', 'buffer', 'stream', 'iterable'])('a body as %s arrives whole', async (kind) => {
  const text = 'é'.repeat(300_000)
  const pieces = function* () {
    for (let i = 0; i < text.length; i += 1_000) yield Buffer.from(text.slice(i, i + 1_000))
  }
  const body = {
    string: text,
    buffer: Buffer.from(text),
    stream: Readable.from(pieces()),
    iterable: pieces(),
  }[kind]
  const answer = await call({ method: 'POST', body: body as string })
  const hash = (value: string) => createHash('sha256').update(value).digest('hex')
  expect(hash(await answer.body.text())).toBe(hash(text))
})

test.each<[string, Partial<Dispatcher.DispatchOptions>]>([
  ['a path that climbs', { path: '/v1/../admin' }],
  ['a path that is a URL', { path: 'http://127.0.0.1:4656/fleet' }],
  ['a path with a second request in it', { path: '/ HTTP/1.1\r\nhost: x\r\n\r\nGET /admin' }],
  ['the path of the tunnel itself', { path: '/.holon-tunnel/cancel', method: 'POST', body: '1' }],
  ['CONNECT', { method: 'CONNECT' as Dispatcher.HttpMethod }],
  ['an upgrade', { upgrade: 'websocket' }],
  ['a header with a line break', { headers: { 'x-a': 'b\r\nc: d' } }],
  ['a pseudo header', { headers: { ':path': '/admin' } }],
  ['a length that is a lie', { method: 'POST', headers: { 'content-length': '3' }, body: 'four' }],
  ['two lengths', { method: 'POST', headers: ['content-length', '3', 'content-length', '4'], body: 'xxx' }],
  ['a host with a user in it', { headers: {}, origin: 'http://a/'.replace('a', '[::1]') }],
])('%s is refused before anything is sent', async (_, options) => {
  const before = session.stats().bytesOut
  await expect(collect(options)).rejects.toMatchObject({ code: 'tunnel_request_invalid' })
  expect(session.stats().bytesOut).toBe(before)
})

test('an answer that was not read in time, or did not come, is out of time as with a pool', async () => {
  handler = () => undefined
  await expect(call({ headersTimeout: 50 })).rejects.toMatchObject({ code: 'UND_ERR_HEADERS_TIMEOUT' })
  handler = (_, response) => void response.write('x')
  const answer = await call({ bodyTimeout: 50 })
  await expect(answer.body.text()).rejects.toMatchObject({ code: 'UND_ERR_BODY_TIMEOUT' })
})

test('a paused caller stops the node within a window, and time stands still for it', async () => {
  let written = 0
  handler = (_, response) => {
    const piece = Buffer.alloc(16_384)
    const go = () => {
      while (written < 20_000_000) {
        written += piece.length
        if (!response.write(piece)) return void response.once('drain', go)
      }
      response.end()
    }
    go()
  }
  let controller: Dispatcher.DispatchController | undefined
  let bytes = 0
  const done = collect(
    { bodyTimeout: 500 },
    {
      onRequestStart: (given) => {
        controller = given
      },
      onResponseData: (given, chunk) => {
        bytes += chunk.length
        if (bytes === chunk.length) given.pause()
      },
    },
  )
  await until(() => written > 250_000, 'the node filled the window')
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  expect(written).toBeLessThan(2_000_000)
  controller?.resume()
  await done
  expect(bytes).toBeGreaterThanOrEqual(20_000_000)
})

test('an upload that the node answers early is stopped, and the answer arrives', async () => {
  handler = (_, response) => {
    response.writeHead(413)
    response.end('too big')
  }
  let pulled = 0
  const body = new Readable({
    read() {
      pulled += 65_536
      this.push(Buffer.alloc(65_536))
    },
  })
  const answer = await call({ method: 'POST', body })
  expect([answer.statusCode, await answer.body.text()]).toEqual([413, 'too big'])
  await until(() => body.destroyed, 'the body was let go')
  expect(pulled).toBeLessThan(50_000_000)
})

test('a body that breaks off fails the request, and the node sees no whole body', async () => {
  let ended: string | null = null
  handler = (incoming, response) => {
    incoming.on('end', () => {
      ended ??= incoming.aborted ? 'aborted' : 'whole'
    })
    incoming.on('aborted', () => {
      ended ??= 'aborted'
    })
    incoming.resume()
    response.on('close', () => undefined)
  }
  const body = new PassThrough()
  const answer = call({ method: 'POST', body })
  body.write('half')
  setTimeout(() => body.destroy(new Error('the client hung up')), 30)
  await expect(answer).rejects.toThrow('the client hung up')
  await until(() => ended !== null, 'the node noticed')
  expect(ended).toBe('aborted')
})

test('trailers and a length that does not fit are refused', async () => {
  handler = (_, response) => {
    response.addTrailers({ 'x-late': '1' })
    response.end('x')
  }
  await expect(call().then((answer) => answer.body.text())).rejects.toMatchObject({
    code: 'tunnel_misbehaved',
  })
  handler = (_, response) => {
    response.stream.respond({ ':status': 200, 'content-length': '10' })
    response.stream.end('short')
  }
  await expect(call().then((answer) => answer.body.text())).rejects.toMatchObject({ code: /^tunnel_/ })
})

test('HEAD, 204 and 304 have no body and are whole', async () => {
  handler = (_, response) => {
    response.writeHead(200, { 'content-length': '10' })
    response.end()
  }
  expect((await collect({ method: 'HEAD' })).body).toHaveLength(0)
  for (const status of [204, 304]) {
    handler = (_, response) => {
      response.writeHead(status)
      response.end()
    }
    expect(await collect({})).toMatchObject({ status, body: Buffer.alloc(0) })
  }
})

test('a handler that throws becomes a 500, one that throws later breaks its answer off', async () => {
  handler = () => {
    throw new Error('boom')
  }
  const failed = await call()
  expect(failed.statusCode).toBe(500)
  expect(await failed.body.json()).toMatchObject({ error: { code: 'internal' } })
  handler = async (_, response) => {
    response.write('half')
    await new Promise((resolve) => setTimeout(resolve, 20))
    throw new Error('boom')
  }
  await expect(call().then((answer) => answer.body.text())).rejects.toMatchObject({ code: 'tunnel_lost' })
})

test('a caller whose own handler throws loses its request only', async () => {
  const thrown = collect(
    {},
    {
      onResponseStart: () => {
        throw new Error('my own bug')
      },
    },
  )
  await expect(thrown).rejects.toThrow('my own bug')
  expect(await (await call({ method: 'POST', body: 'x' })).body.text()).toBe('x')
})

test('requests beyond what a node takes are refused, not queued without end', async () => {
  const releases: (() => void)[] = []
  handler = (_, response) => void releases.push(() => response.end('done'))
  const open = Array.from({ length: maxOpenStreams }, () => call())
  await until(() => releases.length === maxOpenStreams, 'the node holds them all')
  await expect(call()).rejects.toMatchObject({ code: 'overloaded' })
  for (const release of releases) release()
  for (const answer of await Promise.all(open)) expect(await answer.body.text()).toBe('done')
  await until(() => session.stats().openStreams === 0, 'all are done')
})

test('3,000 cancels in a row leave the tunnel as it was', async () => {
  let gone = 0
  handler = (_, response) => {
    response.on('close', () => {
      gone += 1
    })
    response.write('x'.repeat(1_000))
  }
  for (let round = 0; round < 60; round++) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        const abort = new AbortController()
        const answer = await session.request({ path: '/', method: 'GET', signal: abort.signal })
        abort.abort()
        await answer.body.dump().catch(() => undefined)
      }),
    )
  }
  await until(() => gone === 3_000, 'the node saw every cancel')
  expect(session.endedBy()).toBeNull()
  handler = echo
  expect(await (await call({ method: 'POST', body: 'x' })).body.text()).toBe('x')
})

test('close waits for what is on the way, destroy does not; the tunnel stays', async () => {
  const other = dialTo(hub, 'm2', {
    handler: (_, response) => void setTimeout(() => response.end('done'), 50),
  })
  const second = await hub.next()
  const answer = second.request({ path: '/', method: 'GET' })
  const closing = second.dispatcher.close()
  await expect(second.request({ path: '/', method: 'GET' })).rejects.toMatchObject({ code: 'tunnel_lost' })
  expect(await (await answer).body.text()).toBe('done')
  await closing
  await other.stop()

  const third = dialTo(hub, 'm3', { handler: () => undefined })
  const destroyed = await hub.next()
  const cut = destroyed.request({ path: '/', method: 'GET' }).catch((error: unknown) => error)
  await destroyed.dispatcher.destroy(new Error('the engine died'))
  expect(await cut).toMatchObject({ message: 'the engine died' })
  expect(destroyed.endedBy()).toBeNull()
  await third.stop()
})
