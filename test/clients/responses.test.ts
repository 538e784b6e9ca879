/** OpenAI's Responses as the real `openai` client sees them. */
import OpenAI, { APIError, APIUserAbortError, BadRequestError, NotFoundError } from 'openai'
import type { ResponseInput, ResponseStreamEvent } from 'openai/resources/responses/responses'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Stand, startStand } from '../hub/start-hub.ts'
import { eventually } from '../support/cli.ts'

let stand: Stand
let client: OpenAI
beforeAll(async () => {
  stand = await startStand()
  client = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => stand.stop())

const ask = (input: string) => ({ model: 'tiny', input })
const seen = () => stand.engine.seen.at(-1)!.body
const weather = {
  type: 'function' as const,
  name: 'weather',
  strict: false,
  parameters: { type: 'object', properties: { city: { type: 'string' } } },
}
const failureOf = (promise: PromiseLike<unknown>) =>
  Promise.resolve(promise).then(
    () => null,
    (error: unknown) => error as APIError,
  )
async function eventsOf(input: string, more: object = {}): Promise<ResponseStreamEvent[]> {
  const events: ResponseStreamEvent[] = []
  for await (const event of await client.responses.create({ ...ask(input), ...more, stream: true })) {
    events.push(event)
  }
  return events
}

describe('a whole response', () => {
  test('has output, usage and what was asked', async () => {
    const response = await client.responses.create({
      ...ask('hello'),
      instructions: 'Be brief.',
      max_output_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
      metadata: { a: 'b' },
    })
    expect(response.output_text).toBe('word0 word1 ')
    expect(response).toMatchObject({
      object: 'response',
      status: 'completed',
      model: 'tiny',
      instructions: 'Be brief.',
      metadata: { a: 'b' },
      output: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text' }] }],
      usage: {
        input_tokens: 7,
        output_tokens: 4,
        total_tokens: 11,
        input_tokens_details: { cached_tokens: 3 },
      },
    })
    expect(response._request_id).toMatch(/^req_/)
    expect(seen()).toEqual({
      model: 'tiny',
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hello' },
      ],
      max_tokens: 50,
      temperature: 0.5,
      top_p: 0.9,
    })
  })

  test('tells thoughts, and an end by length', async () => {
    const thought = await client.responses.create(ask('!think'))
    expect(thought.output).toMatchObject([
      { type: 'reasoning', content: [{ type: 'reasoning_text', text: 'let me see' }] },
      { type: 'message' },
    ])
    expect(await client.responses.create(ask('!long'))).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    })
  })

  test('calls functions, and takes their outputs with all that came before', async () => {
    const first = await client.responses.create({ ...ask('!calls'), tools: [weather] })
    const calls = first.output.filter((item) => item.type === 'function_call')
    expect(calls).toMatchObject([
      { call_id: 'call_a', name: 'weather', arguments: '{"city":"Bern"}', status: 'completed' },
      { call_id: 'call_b', name: 'clock', arguments: '{}' },
    ])
    const input: ResponseInput = [
      { role: 'developer', content: 'Be kind.' },
      { role: 'user', content: [{ type: 'input_text', text: 'How is it?' }] },
      ...(first.output as ResponseInput),
      { type: 'function_call_output', call_id: 'call_a', output: 'sunny' },
      { type: 'function_call_output', call_id: 'call_b', output: 'noon' },
    ]
    await client.responses.create({ model: 'tiny', input, instructions: 'Be brief.', store: false })
    expect(seen().messages).toMatchObject([
      { role: 'system', content: 'Be brief.\n\nBe kind.' },
      { role: 'user', content: 'How is it?' },
      { role: 'assistant', content: 'Looking. ', tool_calls: [{ id: 'call_a' }, { id: 'call_b' }] },
      { role: 'tool', tool_call_id: 'call_a', content: 'sunny' },
      { role: 'tool', tool_call_id: 'call_b', content: 'noon' },
    ])
  })

  test.each([
    ['required' as const, 'required'],
    [
      { type: 'function' as const, name: 'weather' },
      { type: 'function', function: { name: 'weather' } },
    ],
    [
      {
        type: 'allowed_tools' as const,
        mode: 'required' as const,
        tools: [{ type: 'function', name: 'weather' }],
      },
      'required',
    ],
  ])('passes on tool_choice %j', async (tool_choice, expected) => {
    const tools = [weather, { ...weather, name: 'other' }]
    const response = await client.responses.create({ ...ask('hi'), tools, tool_choice })
    expect(seen().tool_choice).toEqual(expected)
    expect(response.output).toMatchObject([{ type: 'function_call', name: 'weather' }])
  })

  test('is of the schema asked for', async () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } } }
    const format = { type: 'json_schema' as const, name: 'place', schema, strict: true }
    const response = await client.responses.parse({ ...ask('where?'), text: { format } })
    expect(JSON.parse(response.output_text)).toEqual({ city: 'Bern' })
    expect(seen().response_format).toEqual({
      type: 'json_schema',
      json_schema: { name: 'place', schema, strict: true },
    })
  })
})

describe('a stream', () => {
  test('has the events in the order of the API, numbered', async () => {
    const events = await eventsOf('hello')
    expect(events.map((event) => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      ...Array.from({ length: 4 }, () => 'response.output_text.delta'),
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
    expect(events.at(-1)).toMatchObject({ response: { status: 'completed', usage: { total_tokens: 11 } } })
  })

  test('is put together by the client', async () => {
    const stream = client.responses.stream({ ...ask('!calls'), tools: [weather] })
    const response = await stream.finalResponse()
    expect(response.output).toMatchObject([
      { type: 'message', content: [{ text: 'Looking. ' }] },
      { type: 'function_call', call_id: 'call_a', name: 'weather', arguments: '{"city":"Bern"}' },
      { type: 'function_call', call_id: 'call_b', name: 'clock', arguments: '{}' },
    ])
  })

  test('tells thoughts and calls in their own events', async () => {
    const thought = (await eventsOf('!think')).map((event) => event.type)
    expect(thought.slice(2, 9)).toEqual([
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
    ])
    const called = await eventsOf('hi', { tools: [weather], tool_choice: 'required' })
    expect(called.map((event) => event.type).slice(2, -1)).toEqual([
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
    ])
  })

  test('keeps characters whole that arrive byte by byte, and tells an end by length', async () => {
    const astral = await client.responses.stream(ask('!astral')).finalResponse()
    expect(astral.output).toMatchObject([{ content: [{ text: 'é中🙂ß' }] }])
    expect((await eventsOf('!long')).at(-1)).toMatchObject({
      type: 'response.incomplete',
      response: { incomplete_details: { reason: 'max_output_tokens' } },
    })
  })

  test.each(['!late-error', '!llama-error', '!cut', '!die-mid', '!half', '!alien'])(
    'that breaks (%s) fails in its events and raises the client’s error',
    async (fault) => {
      const events: string[] = []
      const read = async () => {
        for await (const event of await client.responses.create({ ...ask(fault), stream: true })) {
          events.push(event.type)
        }
      }
      await expect(read()).rejects.toBeInstanceOf(APIError)
      expect(events.at(-1)).toBe('response.failed')
    },
  )

  test('is cancelled at the engine when the client aborts', async () => {
    const before = stand.engine.aborted
    const stream = client.responses.stream(ask('!slow'))
    stream.on('response.output_text.delta', () => stream.abort())
    await expect(stream.finalResponse()).rejects.toBeInstanceOf(APIUserAbortError)
    await eventually('the engine to see it', () => stand.engine.aborted === before + 1)
  })

  test('of a client that does not read holds the engine back instead of memory', async () => {
    const flood = await startStand()
    const response = await flood.post('/v1/responses', { ...ask('!flood'), stream: true })
    const reader = response.body!.getReader()
    await reader.read()
    let before = -1
    await eventually('the flood to stop', async () => {
      const still = flood.engine.flooded === before
      before = flood.engine.flooded
      await new Promise((resolve) => setTimeout(resolve, 200))
      return still
    })
    expect(flood.engine.flooded).toBeLessThan(48 * 1024 * 1024)
    await reader.cancel()
    await flood.stop()
  })
})

describe('what is kept', () => {
  test('is gone on with, fetched, listed and deleted', async () => {
    const first = await client.responses.create(ask('hello'))
    const second = await client.responses.create({ ...ask('and now?'), previous_response_id: first.id })
    expect(seen().messages).toMatchObject([
      { role: 'user', content: 'hello' },
      { role: 'assistant', content: 'word0 word1 ' },
      { role: 'user', content: 'and now?' },
    ])
    await client.responses
      .create({ ...ask('third'), previous_response_id: second.id, stream: true })
      .then(async (stream) => {
        for await (const _ of stream) {
          // To its end.
        }
      })
    expect(seen().messages).toHaveLength(5)
    expect(await client.responses.retrieve(second.id)).toMatchObject({
      id: second.id,
      previous_response_id: first.id,
    })
    const items = []
    for await (const item of client.responses.inputItems.list(first.id)) items.push(item)
    expect(items).toMatchObject([{ role: 'user', content: 'hello' }])
    await client.responses.delete(first.id)
    await expect(client.responses.retrieve(first.id)).rejects.toBeInstanceOf(NotFoundError)
    const lost = await failureOf(client.responses.create({ ...ask('x'), previous_response_id: second.id }))
    expect(lost).toMatchObject({ status: 404, param: 'previous_response_id' })
  })

  test('is referred to by its items', async () => {
    const first = await client.responses.create(ask('hello'))
    const input: ResponseInput = [
      { role: 'user', content: 'hello' },
      { type: 'item_reference', id: first.output[0]!.id! },
      { role: 'user', content: 'and?' },
    ]
    await client.responses.create({ model: 'tiny', input })
    expect((seen().messages as unknown[])[1]).toMatchObject({ role: 'assistant', content: 'word0 word1 ' })
  })

  test('is nobody else’s, and nothing when store is false', async () => {
    const mine = await client.responses.create(ask('hello'))
    const other = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: 'other', maxRetries: 0 })
    await expect(other.responses.retrieve(mine.id)).rejects.toBeInstanceOf(NotFoundError)
    const unkept = await client.responses.create({ ...ask('hello'), store: false })
    await expect(client.responses.retrieve(unkept.id)).rejects.toBeInstanceOf(NotFoundError)
  })
})

test('counts input tokens by asking the engine', async () => {
  const counted = await client.responses.inputTokens.count({ model: 'tiny', input: 'one two three' })
  expect(counted).toEqual({ object: 'response.input_tokens', input_tokens: 4 })
})

describe('errors', () => {
  test.each([
    ['a wrong type', { temperature: 'hot' }, 'temperature'],
    ['an unknown parameter', { temprature: 1 }, 'temprature'],
    ['work in the background', { background: true }, 'background'],
    ['tools that OpenAI runs', { tools: [{ type: 'web_search' }] }, 'tools[0].type'],
    ['a cut input', { truncation: 'auto' }, 'truncation'],
    ['an unknown item', { input: [{ type: 'computer_call' }] }, 'input[0].type'],
    ['a lost item', { input: [{ type: 'item_reference', id: 'msg_x' }] }, 'input[0].id'],
    ['what this engine does not', { reasoning: { effort: 'low' } }, 'reasoning.effort'],
  ])('name the field: %s', async (_, change, param) => {
    const failure = await failureOf(client.responses.create({ ...ask('x'), ...(change as object) }))
    expect(failure).toBeInstanceOf(BadRequestError)
    expect(failure!.param).toBe(param)
  })

  test('of an unknown model and of the engine', async () => {
    await expect(client.responses.create({ ...ask('x'), model: 'none' })).rejects.toBeInstanceOf(
      NotFoundError,
    )
    expect(await failureOf(client.responses.create(ask('!context')))).toMatchObject({
      status: 400,
      code: 'context_length_exceeded',
    })
  })
})
