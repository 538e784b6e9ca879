/** The Anthropic surface as the real `@anthropic-ai/sdk` client sees it. */
import Anthropic, {
  APIError,
  APIUserAbortError,
  AuthenticationError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from '@anthropic-ai/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Stand, startStand } from '../hub/start-hub.ts'
import { eventually } from '../support/cli.ts'

let stand: Stand
let client: Anthropic
beforeAll(async () => {
  stand = await startStand()
  client = new Anthropic({ baseURL: stand.url, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => stand.stop())

const ask = (content: string) => ({
  model: 'tiny',
  max_tokens: 100,
  messages: [{ role: 'user' as const, content }],
})
const weather = {
  name: 'weather',
  description: 'Tells the weather.',
  input_schema: { type: 'object' as const, properties: { city: { type: 'string' } }, required: ['city'] },
}
const clock = { name: 'clock', input_schema: { type: 'object' as const } }
const seen = () => stand.engine.seen.at(-1)!.body

describe('a whole message', () => {
  test('has content, usage, stop reason and request id', async () => {
    const message = await client.messages.create({
      ...ask('hello'),
      system: [{ type: 'text', text: 'Be brief.', cache_control: { type: 'ephemeral' } }],
      // Older clients send these; the newest one's types have no place for them.
      ...({ temperature: 0.5, top_k: 40 } as object),
      stop_sequences: ['\n'],
      metadata: { user_id: 'u' },
    })
    expect(message).toMatchObject({
      type: 'message',
      role: 'assistant',
      model: 'tiny',
      content: [{ type: 'text', text: 'word0 word1 ' }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      usage: { input_tokens: 4, cache_read_input_tokens: 3, output_tokens: 4 },
    })
    expect(message._request_id).toMatch(/^req_/)
    expect(seen()).toEqual({
      model: 'tiny',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hello' },
      ],
      max_tokens: 100,
      temperature: 0.5,
      top_k: 40,
      stop: ['\n'],
    })
  })

  test('maps how it ended', async () => {
    expect((await client.messages.create(ask('!long'))).stop_reason).toBe('max_tokens')
    const stopped = await client.messages.create({ ...ask('!stopped'), stop_sequences: ['END'] })
    expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: 'END' })
  })

  test('shows the thinking that the engine tells, unless it was switched off', async () => {
    const thought = await client.messages.create(ask('!think'))
    expect(thought.content).toEqual([
      { type: 'thinking', thinking: 'let me see', signature: '' },
      { type: 'text', text: 'word0 ' },
    ])
    const off = await client.messages.create({ ...ask('!think'), thinking: { type: 'disabled' } })
    expect(off.content).toEqual([{ type: 'text', text: 'word0 ' }])
  })

  test('calls tools, and takes their results', async () => {
    const message = await client.messages.create({ ...ask('!calls'), tools: [weather, clock] })
    expect(message.stop_reason).toBe('tool_use')
    expect(message.content).toEqual([
      { type: 'text', text: 'Looking. ' },
      { type: 'tool_use', id: 'call_a', name: 'weather', input: { city: 'Bern' } },
      { type: 'tool_use', id: 'call_b', name: 'clock', input: {} },
    ])
    await client.messages.create({
      ...ask('x'),
      tools: [weather, clock],
      messages: [
        { role: 'user', content: 'How is it?' },
        { role: 'assistant', content: message.content },
        {
          role: 'user',
          content: [
            { type: 'tool_result', tool_use_id: 'call_a', content: [{ type: 'text', text: 'sunny' }] },
            { type: 'tool_result', tool_use_id: 'call_b', content: 'broken', is_error: true },
            { type: 'text', text: 'And?' },
          ],
        },
      ],
    })
    expect(seen().messages).toMatchObject([
      { role: 'user', content: 'How is it?' },
      {
        role: 'assistant',
        content: 'Looking. ',
        tool_calls: [{ id: 'call_a', function: { arguments: '{"city":"Bern"}' } }, { id: 'call_b' }],
      },
      { role: 'tool', tool_call_id: 'call_a', content: 'sunny' },
      { role: 'tool', tool_call_id: 'call_b', content: 'Error: broken' },
      { role: 'user', content: 'And?' },
    ])
  })

  test.each([
    [{ type: 'any' as const }, 'required', true],
    [{ type: 'tool' as const, name: 'weather' }, { type: 'function', function: { name: 'weather' } }, true],
    [{ type: 'auto' as const, disable_parallel_tool_use: true }, 'auto', false],
    [{ type: 'none' as const }, 'none', false],
  ])('passes on tool_choice %j', async (choice, expected, called) => {
    const message = await client.messages.create({ ...ask('hi'), tools: [weather], tool_choice: choice })
    expect(seen().tool_choice).toEqual(expected)
    expect(message.stop_reason).toBe(called ? 'tool_use' : 'end_turn')
    if ('disable_parallel_tool_use' in choice) expect(seen().parallel_tool_calls).toBe(false)
  })
})

describe('a stream', () => {
  test('has the events in their order, and the client puts them together', async () => {
    const stream = client.messages.stream(ask('hello'))
    const types: string[] = []
    stream.on('streamEvent', (event) => types.push(event.type))
    const message = await stream.finalMessage()
    expect(types).toEqual([
      'message_start',
      'content_block_start',
      ...Array.from({ length: 4 }, () => 'content_block_delta'),
      'content_block_stop',
      'message_delta',
      'message_stop',
    ])
    expect(message).toMatchObject({
      content: [{ type: 'text', text: 'word0 word1 word2 word3 ' }],
      stop_reason: 'end_turn',
      usage: { input_tokens: 4, output_tokens: 4, cache_read_input_tokens: 3 },
    })
    expect(stream.request_id).toMatch(/^req_/)
  })

  test('pings after message_start, on the wire', async () => {
    const response = await stand.post('/v1/messages', { ...ask('hello'), stream: true })
    expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
    expect(response.headers.get('request-id')).toBe(response.headers.get('x-request-id'))
    expect(response.headers.get('x-holon-node')).toBe('studio')
    const names = (await response.text()).match(/^event: .*$/gm)
    expect(names?.slice(0, 3)).toEqual(['event: message_start', 'event: ping', 'event: content_block_start'])
    expect(names?.at(-1)).toBe('event: message_stop')
  })

  test('tells thinking, text and tool calls as blocks of their own', async () => {
    const thought = await client.messages.stream(ask('!think')).finalMessage()
    expect(thought.content).toMatchObject([{ thinking: 'let me see' }, { text: 'word0 ' }])
    const stream = client.messages.stream({ ...ask('!calls'), tools: [weather, clock] })
    const blocks: unknown[] = []
    stream.on('contentBlock', (block) => blocks.push(block))
    const message = await stream.finalMessage()
    expect(message.stop_reason).toBe('tool_use')
    expect(message.content).toEqual([
      { type: 'text', text: 'Looking. ' },
      { type: 'tool_use', id: 'call_a', name: 'weather', input: { city: 'Bern' } },
      { type: 'tool_use', id: 'call_b', name: 'clock', input: {} },
    ])
    expect(blocks).toHaveLength(3)
  })

  test('keeps characters whole that arrive byte by byte', async () => {
    expect(await client.messages.stream(ask('!astral')).finalText()).toBe('é中🙂ß')
  })

  test.each(['!late-error', '!llama-error', '!cut', '!die-mid', '!half', '!alien'])(
    'that breaks (%s) raises the client’s error',
    async (fault) => {
      const stream = client.messages.stream(ask(fault))
      const failure: unknown = await stream.finalMessage().catch((error: unknown) => error)
      expect(failure).toBeInstanceOf(APIError)
      expect((failure as APIError).error).toMatchObject({
        type: 'error',
        error: { type: 'api_error', source: 'engine' },
      })
    },
  )

  test('ends without its [DONE] when the engine gave a finish reason', async () => {
    expect(await client.messages.stream(ask('!no-done')).finalText()).toBe('word0 word1 word2 word3 ')
  })

  test('is cancelled at the engine when the client aborts', async () => {
    const before = stand.engine.aborted
    const stream = client.messages.stream(ask('!slow'))
    stream.on('text', () => stream.abort())
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(APIUserAbortError)
    await eventually('the engine to see it', () => stand.engine.aborted === before + 1)
    expect(stand.node.held).toBe(0)
  })

  test('waits with comments while the model loads', async () => {
    const model = stand.node.models[0]!
    model.state = 'disk'
    stand.node.loader = async (report) => {
      report({ phase: 'reading weights', percent: 40, etaS: 3 })
      await new Promise((resolve) => setTimeout(resolve, 2_600))
    }
    const response = await stand.post('/v1/messages', { ...ask('hello'), stream: true })
    const text = await response.text()
    expect(text).toMatch(/^: loading 40 % \(reading weights\)\n\n/)
    expect(text).toContain('event: message_stop')
    expect(text.indexOf('event: message_start')).toBeGreaterThan(0)
  })
})

describe('count_tokens', () => {
  test('asks the engine', async () => {
    const counted = await client.messages.countTokens({
      model: 'tiny',
      system: 'Be brief.',
      messages: [{ role: 'user', content: 'one two three' }],
    })
    expect(counted.input_tokens).toBe(7)
    expect(stand.node.held).toBe(0)
  })

  test('says which engine cannot', async () => {
    const plain = await startStand()
    plain.engine.hidden.add('/apply-template')
    const other = new Anthropic({ baseURL: plain.url, apiKey: 'none', maxRetries: 0 })
    const failure: unknown = await other.messages
      .countTokens({ model: 'tiny', messages: [{ role: 'user', content: 'one' }] })
      .catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(InternalServerError)
    expect(failure).toMatchObject({ status: 501 })
    expect((failure as APIError).message).toContain('/apply-template')
    await plain.stop()
  })
})

describe('errors', () => {
  test('of an unknown model', async () => {
    const failure: unknown = await client.messages
      .create({ ...ask('x'), model: 'none' })
      .catch((error) => error)
    expect(failure).toBeInstanceOf(NotFoundError)
    expect((failure as APIError).error).toMatchObject({
      type: 'error',
      error: { type: 'not_found_error', code: 'model_not_found', param: 'model' },
    })
  })

  test.each([
    ['no max_tokens', { max_tokens: undefined }, 'max_tokens'],
    ['a wrong type', { temperature: 'hot' }, 'temperature'],
    ['an unknown parameter', { temprature: 1 }, 'temprature'],
    [
      'what nobody runs here',
      { tools: [{ type: 'web_search_20250305', name: 'web_search' }] },
      'tools[0].type',
    ],
    ['MCP servers', { mcp_servers: [{ type: 'url', url: 'x', name: 'x' }] }, 'mcp_servers'],
    [
      'an unknown block',
      { messages: [{ role: 'user', content: [{ type: 'video' }] }] },
      'messages[0].content[0].type',
    ],
  ])('name the field: %s', async (_, change, param) => {
    const failure: unknown = await client.messages
      .create({ ...ask('x'), ...(change as object) })
      .catch((error) => error)
    expect(failure).toBeInstanceOf(BadRequestError)
    expect((failure as APIError).error).toMatchObject({ error: { type: 'invalid_request_error', param } })
  })

  test('name an image that the engine cannot read, and a parameter it cannot honour, in Anthropic’s words', async () => {
    const source = { type: 'base64' as const, media_type: 'image/png' as const, data: 'iVBORw0KGgo=' }
    const image = client.messages.create({
      ...ask('x'),
      messages: [{ role: 'user', content: [{ type: 'image', source }] }],
    })
    await expect(image).rejects.toThrow(/fake cannot read .*image/)
    stand.node.parameters.delete('stop')
    const stopped = client.messages.create({ ...ask('x'), stop_sequences: ['a'] })
    await expect(stopped).rejects.toThrow(/cannot honour .*stop_sequences/)
    stand.node.parameters.add('stop')
  })

  test('of the engine keep their message', async () => {
    const failure: unknown = await client.messages.create(ask('!context')).catch((error) => error)
    expect(failure).toBeInstanceOf(BadRequestError)
    expect((failure as APIError).error).toMatchObject({
      error: { code: 'context_length_exceeded', source: 'engine' },
    })
    await expect(client.messages.create(ask('!alien'))).rejects.toBeInstanceOf(InternalServerError)
    await expect(client.messages.create(ask('!die'))).rejects.toBeInstanceOf(InternalServerError)
  })

  test('of a wrong method are in the envelope too', async () => {
    const response = await fetch(`${stand.url}/v1/messages`)
    expect(response.status).toBe(405)
    expect(await response.json()).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } })
  })

  test('of a missing key are too, and x-api-key opens', async () => {
    const locked = await startStand({ apiKey: 'secret' })
    const wrong = new Anthropic({ baseURL: locked.url, apiKey: 'guess', maxRetries: 0 })
    const failure: unknown = await wrong.messages.create(ask('x')).catch((error) => error)
    expect(failure).toBeInstanceOf(AuthenticationError)
    expect((failure as APIError).error).toMatchObject({
      type: 'error',
      error: { type: 'authentication_error' },
    })
    const right = new Anthropic({ baseURL: locked.url, apiKey: 'secret', maxRetries: 0 })
    expect((await right.messages.create(ask('x'))).stop_reason).toBe('end_turn')
    await locked.stop()
  })
})

test('lists models in Anthropic’s shape', async () => {
  const ids: string[] = []
  for await (const model of client.models.list()) ids.push(model.id)
  expect(ids).toEqual(['tiny'])
  expect(await client.models.retrieve('tiny')).toMatchObject({ type: 'model', id: 'tiny' })
  await expect(client.models.retrieve('none')).rejects.toBeInstanceOf(NotFoundError)
})
