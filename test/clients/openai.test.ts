/** The OpenAI surface as the real `openai` client sees it. */
import OpenAI, {
  APIConnectionError,
  APIUserAbortError,
  BadRequestError,
  InternalServerError,
  NotFoundError,
} from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Stand, startStand } from '../hub/start-hub.ts'

let stand: Stand
let client: OpenAI
beforeAll(async () => {
  stand = await startStand()
  client = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: 'none', maxRetries: 0 })
})
afterAll(() => stand.stop())

const ask = (content: string) => ({ model: 'tiny', messages: [{ role: 'user' as const, content }] })
const weather = {
  type: 'function' as const,
  function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } },
}

describe('the openai client', () => {
  test('lists and describes models', async () => {
    const ids: string[] = []
    for await (const model of client.models.list()) ids.push(model.id)
    expect(ids).toEqual(['tiny'])
    expect(await client.models.retrieve('tiny')).toMatchObject({
      id: 'tiny',
      object: 'model',
      owned_by: 'holon',
    })
    await expect(client.models.retrieve('none')).rejects.toBeInstanceOf(NotFoundError)
  })

  test('chats', async () => {
    const answer = await client.chat.completions.create({
      ...ask('hello'),
      temperature: 0.5,
      seed: 7,
      stop: ['\n'],
    })
    expect(answer.choices[0]?.message.content).toBe('word0 word1 ')
    expect(answer.usage?.total_tokens).toBe(11)
    expect(answer._request_id).toMatch(/^req_/)
  })

  test('works with a base URL without /v1', async () => {
    const short = new OpenAI({ baseURL: stand.url, apiKey: 'none', maxRetries: 0 })
    expect((await short.chat.completions.create(ask('hello'))).choices).toHaveLength(1)
  })

  test('streams, with usage when asked for', async () => {
    const stream = await client.chat.completions.create({
      ...ask('hello'),
      stream: true,
      stream_options: { include_usage: true },
    })
    let text = ''
    let total = 0
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      total = chunk.usage?.total_tokens ?? total
    }
    expect(text).toBe('word0 word1 word2 word3 ')
    expect(total).toBe(11)
  })

  test('streams with its own helper', async () => {
    const stream = client.chat.completions.stream(ask('hello'))
    const seen: string[] = []
    stream.on('content', (delta) => seen.push(delta))
    const final = await stream.finalChatCompletion()
    expect(seen).toHaveLength(4)
    expect(final.choices[0]?.finish_reason).toBe('stop')
  })

  test('asks for several choices, streamed or whole', async () => {
    const whole = await client.chat.completions.create({ ...ask('hello'), n: 3 })
    expect(whole.choices.map((choice) => choice.index)).toEqual([0, 1, 2])
    const ends: number[] = []
    for await (const chunk of await client.chat.completions.create({ ...ask('hello'), n: 2, stream: true })) {
      for (const choice of chunk.choices) if (choice.finish_reason) ends.push(choice.index)
    }
    expect(ends).toEqual([0, 1])
  })

  test('calls tools', async () => {
    const answer = await client.chat.completions.create({
      ...ask('?'),
      tools: [weather],
      tool_choice: 'required',
    })
    const call = answer.choices[0]?.message.tool_calls?.[0]
    expect(call?.type === 'function' && call.function.name).toBe('weather')
    const after = await client.chat.completions.create({
      model: 'tiny',
      messages: [
        { role: 'user', content: '?' },
        answer.choices[0]!.message,
        { role: 'tool', tool_call_id: call!.id, content: 'sunny' },
      ],
      tools: [weather],
    })
    expect(after.choices[0]?.message.content).toBeTruthy()
  })

  test('asks for a JSON schema', async () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] }
    const answer = await client.chat.completions.create({
      ...ask('?'),
      response_format: { type: 'json_schema', json_schema: { name: 'place', schema, strict: true } },
    })
    expect(JSON.parse(answer.choices[0]?.message.content ?? '')).toEqual({ city: 'Bern' })
  })

  test('asks for logprobs', async () => {
    const answer = await client.chat.completions.create({ ...ask('?'), logprobs: true, top_logprobs: 1 })
    expect(answer.choices[0]?.logprobs?.content?.[0]?.token).toBe('word0')
  })

  test('completes a plain prompt, streamed or whole', async () => {
    const whole = await client.completions.create({ model: 'tiny', prompt: 'Once', max_tokens: 4 })
    expect(whole.choices[0]?.text).toBe('word0 word1 ')
    let text = ''
    for await (const chunk of await client.completions.create({
      model: 'tiny',
      prompt: 'Once',
      stream: true,
    })) {
      text += chunk.choices[0]?.text ?? ''
    }
    expect(text).toBe('word0 word1 word2 word3 ')
  })

  test('embeds, by default as base64 on the wire', async () => {
    const answer = await client.embeddings.create({ model: 'tiny', input: ['one', 'two'] })
    expect(stand.engine.seen.at(-1)?.body.encoding_format).toBe('base64')
    expect(answer.data.map((row) => row.embedding)).toEqual([
      [0.25, -0.5, 1],
      [0.25, -0.5, 1],
    ])
    const floats = await client.embeddings.create({ model: 'tiny', input: 'one', encoding_format: 'float' })
    expect(floats.data[0]?.embedding).toEqual([0.25, -0.5, 1])
  })

  test('aborts a stream, and the engine hears of it', async () => {
    const before = stand.engine.aborted
    const stream = await client.chat.completions.create({ ...ask('!slow'), stream: true })
    for await (const _ of stream) break
    await expect.poll(() => stand.engine.aborted, { timeout: 5000 }).toBe(before + 1)
    await expect.poll(() => stand.node.held).toBe(0)
  })

  test('aborts a whole answer', async () => {
    const controller = new AbortController()
    const answer = client.chat.completions.create(ask('!hang'), { signal: controller.signal })
    await expect.poll(() => stand.engine.inFlight).toBe(1)
    controller.abort()
    await expect(answer).rejects.toBeInstanceOf(APIUserAbortError)
    await expect.poll(() => stand.engine.inFlight).toBe(0)
  })

  test('gets its error classes with parameter and code', async () => {
    await expect(client.chat.completions.create({ ...ask('?'), temperature: 9 })).rejects.toMatchObject({
      constructor: BadRequestError,
      param: 'temperature',
      code: 'invalid_parameter',
      type: 'invalid_request_error',
    })
    await expect(client.chat.completions.create({ ...ask('?'), model: 'none' })).rejects.toMatchObject({
      constructor: NotFoundError,
      code: 'model_not_found',
    })
    await expect(client.chat.completions.create({ ...ask('?'), verbosity: 'high' })).rejects.toMatchObject({
      constructor: BadRequestError,
      param: 'verbosity',
      code: 'unsupported_parameter',
    })
    await expect(client.chat.completions.create(ask('!fail'))).rejects.toBeInstanceOf(InternalServerError)
  })

  test('hears of an engine that dies in mid-stream, instead of taking half an answer for a whole one', async () => {
    const stream = await client.chat.completions.create({ ...ask('!die-mid'), stream: true })
    let text = ''
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    }
    await expect(read()).rejects.toThrow(/connection to the engine broke/)
    expect(text).toBe('word0 word1 ')
  })

  test('fails plainly when nobody is there', async () => {
    const nobody = new OpenAI({ baseURL: 'http://127.0.0.1:1/v1', apiKey: 'none', maxRetries: 0 })
    await expect(nobody.models.list()).rejects.toBeInstanceOf(APIConnectionError)
  })
})
