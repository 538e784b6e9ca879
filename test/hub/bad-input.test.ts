/** Whatever a client sends, it gets the error envelope and a sentence that helps, and the next request works. */
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { chat, type ErrorBody, errorOf, type Stand, startStand } from './start-hub.ts'

let stand: Stand
beforeAll(async () => {
  stand = await startStand({ limits: { bodyBytes: 1024 * 1024 } })
})
afterAll(() => stand.stop())
afterEach(async () => {
  const next = await stand.post('/v1/chat/completions', chat('hello'))
  expect(next.status).toBe(200)
  const metrics = await (await fetch(`${stand.url}/metrics`)).text()
  expect(metrics).toMatch(/holon_request_body_bytes 0/)
})

const path = '/v1/chat/completions'
const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

describe('a body', () => {
  test.each<[string, string | Uint8Array, string]>([
    ['nothing', '', 'invalid_json'],
    ['white space', ' \n ', 'invalid_json'],
    ['malformed JSON', '{"model": "tiny", "messages": [', 'invalid_json'],
    ['an array', '[]', 'invalid_json'],
    ['a string', '"hello"', 'invalid_json'],
    ['null', 'null', 'invalid_json'],
    ['invalid UTF-8', bytes('{"model":"tiny\xff\xfe"}'), 'invalid_utf8'],
    ['a cut UTF-8 sequence', bytes('{"model":"tiny\xe2\x82"}'), 'invalid_utf8'],
    [
      'deeply nested arrays',
      `{"model":"tiny","messages":${'['.repeat(100_000)}${']'.repeat(100_000)}}`,
      'invalid_parameter',
    ],
  ])('of %s is refused', async (_, body, code) => {
    const response = await stand.post(path, body)
    expect(response.status).toBe(400)
    const { error } = await errorOf(response)
    expect(error.code).toBe(code)
    expect(Object.keys(error).sort()).toEqual(['code', 'message', 'param', 'source', 'type'])
  })

  test('with a byte order mark is taken, without it', async () => {
    const response = await stand.post(
      path,
      new Uint8Array(Buffer.from(`\ufeff${JSON.stringify(chat('hello'))}`)),
    )
    expect(response.status).toBe(200)
    expect(stand.engine.seen.at(-1)?.raw[0]).toBe(0x7b)
  })

  test('does not repeat what was written around a JSON error', async () => {
    const { error } = await errorOf(await stand.post(path, '{"messages":"my secret" oops}'))
    expect(error.message).not.toContain('secret')
    expect(error.message).toMatch(/at character \d+/)
  })

  test('of another kind is refused, and curl’s default kind is taken', async () => {
    const as = (type: string) =>
      stand.post(path, JSON.stringify(chat('hello')), { headers: { 'content-type': type } })
    expect((await as('application/x-www-form-urlencoded')).status).toBe(200)
    const refused = await as('multipart/form-data; boundary=x')
    expect(refused.status).toBe(415)
    expect((await errorOf(refused)).error.code).toBe('unsupported_media_type')
  })
})

/** Sends up to `count` pieces of 64 KiB until an answer comes, and resolves with that. */
async function upload(
  count: number,
  headers: Record<string, string | number>,
): Promise<{ status: number; body: ErrorBody }> {
  const req = httpRequest(`${stand.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
  })
  req.on('error', () => undefined)
  const answered = once(req, 'response')
  let over = false
  answered.finally(() => {
    over = true
  })
  const piece = Buffer.alloc(64 * 1024, 0x20)
  let sent = 0
  const more = () => {
    while (!over && sent++ < count) if (!req.write(piece)) return
    if (!over) req.end()
  }
  req.on('drain', more)
  more()
  const [response] = await answered
  let text = ''
  for await (const chunk of response) text += String(chunk)
  req.destroy()
  return { status: response.statusCode, body: JSON.parse(text) as ErrorBody }
}

describe('a body of 200 MB', () => {
  const pieces = 3052
  test('with its length announced gets 413 and is not kept', async () => {
    const before = process.memoryUsage().rss
    const { status, body } = await upload(pieces, { 'content-length': pieces * 64 * 1024 })
    expect(status).toBe(413)
    expect(body.error.code).toBe('body_too_large')
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6)
  })

  test('in chunks of unknown length gets 413 and is not kept', async () => {
    const before = process.memoryUsage().rss
    const { status } = await upload(pieces, { 'transfer-encoding': 'chunked' })
    expect(status).toBe(413)
    expect(process.memoryUsage().rss - before).toBeLessThan(100e6)
  })

  test('asked for first (Expect: 100-continue) is refused before it is sent', async () => {
    const req = httpRequest(`${stand.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': 200e6, expect: '100-continue' },
    })
    let asked = false
    req.on('continue', () => {
      asked = true
    })
    req.on('error', () => undefined)
    req.flushHeaders()
    const [response] = await once(req, 'response')
    expect(response.statusCode).toBe(413)
    expect(asked).toBe(false)
    req.destroy()
  })
})

describe('a parameter', () => {
  const many = 'x'.repeat(2000)
  test.each<[object, string, string]>([
    [{ temperature: -1 }, 'temperature', 'invalid_parameter'],
    [{ temperature: 'hot' }, 'temperature', 'invalid_parameter'],
    [{ temperature: [] }, 'temperature', 'invalid_parameter'],
    [{ top_p: 1.5 }, 'top_p', 'invalid_parameter'],
    [{ max_tokens: 0 }, 'max_tokens', 'invalid_parameter'],
    [{ max_tokens: -5 }, 'max_tokens', 'invalid_parameter'],
    [{ max_tokens: 1.5 }, 'max_tokens', 'invalid_parameter'],
    [{ max_tokens: 1e300 }, 'max_tokens', 'invalid_parameter'],
    [{ n: 0 }, 'n', 'invalid_parameter'],
    [{ n: 1e9 }, 'n', 'invalid_parameter'],
    [{ seed: 1.5 }, 'seed', 'invalid_parameter'],
    [{ stream: 'yes' }, 'stream', 'invalid_parameter'],
    [{ stop: [''] }, 'stop[0]', 'invalid_parameter'],
    [{ stop: many }, 'stop', 'invalid_parameter'],
    [{ logit_bias: { word: 1 } }, 'logit_bias.word', 'invalid_parameter'],
    [{ logit_bias: { 5: 1000 } }, 'logit_bias.5', 'invalid_parameter'],
    [{ top_logprobs: 3 }, 'top_logprobs', 'invalid_parameter'],
    [{ logprobs: true, top_logprobs: 99 }, 'top_logprobs', 'invalid_parameter'],
    [{ stream_options: { include_usage: true } }, 'stream_options', 'invalid_parameter'],
    [{ tools: {} }, 'tools', 'invalid_parameter'],
    [{ tools: [{ type: 'function' }] }, 'tools[0].function', 'invalid_parameter'],
    [{ tools: [{ type: 'custom', custom: {} }] }, 'tools[0].type', 'unsupported_parameter'],
    [{ tool_choice: 'required' }, 'tool_choice', 'invalid_parameter'],
    [{ response_format: { type: 'xml' } }, 'response_format.type', 'invalid_parameter'],
    [{ response_format: { type: 'json_schema' } }, 'response_format.json_schema', 'invalid_parameter'],
    [{ messages: [] }, 'messages', 'invalid_parameter'],
    [{ messages: 'hello' }, 'messages', 'invalid_parameter'],
    [{ messages: [null] }, 'messages[0]', 'invalid_parameter'],
    [{ messages: [{ role: 'god', content: 'x' }] }, 'messages[0].role', 'invalid_parameter'],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'invalid_parameter'],
    [
      { messages: [{ role: 'user', content: [{ type: 'video' }] }] },
      'messages[0].content[0].type',
      'invalid_parameter',
    ],
    [{ messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].tool_call_id', 'invalid_parameter'],
    [
      { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }] },
      'messages',
      'unsupported_parameter',
    ],
    [{ temprature: 1 }, 'temprature', 'invalid_parameter'],
    [{ maxTokens: 5 }, 'maxTokens', 'invalid_parameter'],
    [{ __proto__x: 1 }, '__proto__x', 'invalid_parameter'],
    [{ store: true }, 'store', 'unsupported_parameter'],
    [{ web_search_options: {} }, 'web_search_options', 'unsupported_parameter'],
    [{ mirostat: 2 }, 'mirostat', 'unsupported_parameter'],
    [{ messages: undefined }, 'messages', 'missing_parameter'],
    [{ model: undefined }, 'model', 'missing_parameter'],
    [{ model: '' }, 'model', 'invalid_parameter'],
    [{ model: 5 }, 'model', 'invalid_parameter'],
  ])('%j is refused by the name %s', async (more, param, code) => {
    const response = await stand.post(path, chat('hello', more))
    expect(response.status).toBe(400)
    const { error } = await errorOf(response)
    expect(error).toMatchObject({ param, code, type: 'invalid_request_error', source: 'hub' })
  })

  test('that means "as if it were absent" is taken although the engine does not know it', async () => {
    const neutral = {
      store: false,
      service_tier: 'auto',
      reasoning_effort: null,
      mirostat: 0,
      modalities: ['text'],
    }
    expect((await stand.post(path, chat('hello', neutral))).status).toBe(200)
  })

  test('misspelt gets the right name as a hint', async () => {
    const { error } = await errorOf(await stand.post(path, chat('hello', { maxTokens: 5 })))
    expect(error.message).toContain('"max_tokens"')
  })

  test('__proto__ does no harm', async () => {
    const response = await stand.post(
      path,
      `{"__proto__":{"stream":true},${JSON.stringify(chat('hello')).slice(1)}`,
    )
    expect(response.status).toBe(400)
  })
})

describe('a path or model', () => {
  test('that is unknown names what exists', async () => {
    const response = await stand.post(path, chat('hello', { model: 'gpt-5' }))
    expect(response.status).toBe(404)
    const { error } = await errorOf(response)
    expect(error).toMatchObject({ code: 'model_not_found', param: 'model' })
    expect(error.message).toContain('The only model here is "tiny"')
  })

  test('in another case is found', async () => {
    expect((await stand.post(path, chat('hello', { model: 'TINY' }))).status).toBe(200)
  })

  test('with the wrong method or name says what to do', async () => {
    const wrongMethod = await fetch(`${stand.url}${path}`)
    expect(wrongMethod.status).toBe(405)
    expect((await errorOf(wrongMethod)).error.message).toContain('Use POST')
    const twice = await stand.post('/v1/v1/chat/completions', chat('hello'))
    expect(twice.status).toBe(404)
    expect((await errorOf(twice)).error.message).toContain('/v1 twice')
    expect((await fetch(`${stand.url}/nowhere`)).status).toBe(404)
  })
})

describe('what is no HTTP', () => {
  async function raw(text: string): Promise<string> {
    const { hostname, port } = new URL(stand.url)
    const socket = connect(Number(port), hostname)
    socket.on('error', () => undefined)
    let answer = ''
    socket.on('data', (chunk) => {
      answer += String(chunk)
    })
    socket.write(text)
    await once(socket, 'close')
    return answer
  }

  test('gets the envelope too', async () => {
    const answer = await raw('this is not http\r\n\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('"code":"bad_http"')
  })

  test('with headers without end is cut at the limit', async () => {
    const answer = await raw(`GET /v1/models HTTP/1.1\r\nhost: localhost\r\nx: ${'y'.repeat(64 * 1024)}`)
    expect(answer).toMatch(/^HTTP\/1\.1 431 /)
  })
})
