import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chat, errorOf, type Stand, startStand } from './start-hub.ts'

let stand: Stand
beforeAll(async () => {
  stand = await startStand()
})
afterAll(() => stand.stop())

const stream = (text: string) => stand.post('/v1/chat/completions', chat(text, { stream: true }))

describe('an answer through the hub', () => {
  test('reaches the client unchanged, with who answered and why', async () => {
    const response = await stand.post('/v1/chat/completions', chat('hello'), {
      headers: { 'content-type': 'application/json', 'x-request-id': 'mine-1', traceparent: '00-aa-bb-01' },
    })
    expect(response.status).toBe(200)
    const body = (await response.json()) as { choices: { message: { content: string } }[] }
    expect(body.choices[0]?.message.content).toBe('word0 word1 ')
    expect(response.headers.get('x-request-id')).toBe('mine-1')
    expect(response.headers.get('x-holon-node')).toBe('studio')
    expect(response.headers.get('x-holon-route')).toBe('ready; only node with this model')
    const seen = stand.engine.seen.at(-1)
    expect(seen?.headers['x-request-id']).toBe('mine-1')
    expect(seen?.headers.traceparent).toBe('00-aa-bb-01')
    expect(seen?.headers.authorization).toBe('Bearer secret-of-this-launch')
  })

  test('sends the body on byte for byte', async () => {
    const raw = '{ "model":"tiny" , "messages":[{"role":"user","content":"h\\u00e9llo é"}] }'
    expect((await stand.post('/v1/chat/completions', raw)).status).toBe(200)
    expect(stand.engine.seen.at(-1)?.raw.toString()).toBe(raw)
  })

  test('makes a request id when there is none', async () => {
    const response = await stand.post('/chat/completions', chat('hello'))
    expect(response.headers.get('x-request-id')).toMatch(/^req_[a-z0-9]{20}$/)
  })

  test('gives the node the engine’s own measurements back', async () => {
    await (await stand.post('/v1/chat/completions', chat('hello'))).text()
    expect(stand.node.released.at(-1)).toEqual({
      promptTokens: 7,
      cachedTokens: 3,
      completionTokens: 4,
      prefillTokS: 400,
      decodeTokS: 100,
    })
  })

  test('streams events and ends with [DONE]', async () => {
    const response = await stream('hello')
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const text = await response.text()
    expect(text.match(/word\d/g)).toEqual(['word0', 'word1', 'word2', 'word3'])
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  test('survives an engine that sends one byte at a time', async () => {
    const text = await (await stream('!bytes')).text()
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })

  test('adds the [DONE] that an engine forgot after its finish reason', async () => {
    const text = await (await stream('!no-done')).text()
    expect(text).toContain('"finish_reason":"stop"')
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
  })
})

describe('an engine that fails', () => {
  test('before the first byte is tried again once', async () => {
    const response = await stand.post('/v1/chat/completions', chat('!die-once'))
    expect(response.status).toBe(200)
  })

  test('before the first byte, twice, is a 502 in the envelope', async () => {
    const before = stand.engine.seen.length
    const response = await stand.post('/v1/chat/completions', chat('!die'))
    expect(response.status).toBe(502)
    const { error } = await errorOf(response)
    expect(error).toMatchObject({
      type: 'server_error',
      param: null,
      code: 'engine_failed',
      source: 'engine',
    })
    // Once more where the first one met a connection that was kept: it might have been its end.
    expect([2, 3]).toContain(stand.engine.seen.length - before)
  })

  test.each(['!die-mid', '!cut', '!half', '!llama-error'])(
    'in mid-stream (%s) ends with one error event',
    async (text) => {
      const body = await (await stream(text)).text()
      expect(body).not.toContain('[DONE]')
      const events = body.split('\n\n').filter((event) => event.startsWith('data: '))
      for (const event of events) expect(() => JSON.parse(event.slice(6))).not.toThrow()
      const last = JSON.parse(events.at(-1)!.slice(6)) as { error: { source: string; code: string } }
      expect(last.error.source).toBe('engine')
      expect(events.filter((event) => event.includes('"error"'))).toHaveLength(1)
    },
  )

  test('with an error event of its own is not told twice', async () => {
    const body = await (await stream('!late-error')).text()
    expect(body.match(/"error":/g)).toHaveLength(1)
    expect(body).not.toContain('[DONE]')
  })

  test.each(['!short-body', '!empty'])('in a whole answer (%s) is a clean 502', async (text) => {
    const response = await stand.post('/v1/chat/completions', chat(text))
    expect(response.status).toBe(502)
    expect((await errorOf(response)).error.source).toBe('engine')
  })

  test('with JSON instead of a stream is a 502', async () => {
    expect((await stream('!json-stream')).status).toBe(502)
  })

  test('with an error of its own keeps its message and says it was the engine', async () => {
    const tooLong = await stand.post('/v1/chat/completions', chat('!context'))
    expect(tooLong.status).toBe(400)
    expect((await errorOf(tooLong)).error).toMatchObject({
      code: 'context_length_exceeded',
      source: 'engine',
    })
    const failed = await stand.post('/v1/chat/completions', chat('!fail'))
    expect(failed.status).toBe(500)
    expect((await errorOf(failed)).error).toMatchObject({ code: 'engine_failed', source: 'engine' })
  })

  test('that does not take our secret is our fault, not the client’s', async () => {
    expect((await stand.post('/v1/chat/completions', chat('!locked'))).status).toBe(502)
  })

  test('by dying names the reason, and its successor answers the next request', async () => {
    const response = await stream('!stall')
    let body = ''
    // Once the client has a part of the answer, and not before: else it would be tried again.
    for await (const chunk of response.body!) {
      if (body === '') stand.node.kill('it ran out of memory.')
      body += Buffer.from(chunk).toString()
    }
    expect(body).toContain('it ran out of memory')
    expect(body).toContain('"code":"engine_crashed"')
    expect((await stand.post('/v1/chat/completions', chat('hello'))).status).toBe(200)
  })

  test('holds no lease and no place in the queue afterwards', async () => {
    expect(stand.node.held).toBe(0)
    const metrics = await (await fetch(`${stand.url}/metrics`)).text()
    expect(metrics).toMatch(/holon_requests_in_flight 0/)
    expect(metrics).toMatch(/holon_request_body_bytes 0/)
  })
})
