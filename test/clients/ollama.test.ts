/** The Ollama surface as the real `ollama` client sees it. */
import { Ollama } from 'ollama'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { aModel, FakeNode } from '../hub/fake-node.ts'
import { type Stand, startStand } from '../hub/start-hub.ts'
import { eventually } from '../support/cli.ts'

let stand: Stand
let client: Ollama
beforeAll(async () => {
  const second = new FakeNode('http://127.0.0.1:9', [aModel('second', { state: 'disk' })], 'node-2', 'attic')
  stand = await startStand({}, [second])
  client = new Ollama({ host: stand.url })
})
afterAll(() => stand.stop())

const user = (content: string) => [{ role: 'user', content }]
const seen = () => stand.engine.seen.at(-1)!
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    description: 'Tells the weather.',
    parameters: { type: 'object', properties: { city: { type: 'string' } } },
  },
}
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => null,
    (error: Error & { status_code?: number }) => error,
  )

describe('chat', () => {
  test('answers whole, with counts and durations in nanoseconds', async () => {
    const answer = await client.chat({
      model: 'tiny',
      messages: [{ role: 'system', content: 'Be brief.' }, ...user('hello')],
      options: {
        temperature: 0.5,
        num_predict: 20,
        stop: ['\n'],
        seed: 7,
        top_k: 40,
        num_thread: 2,
        num_ctx: 2048,
      },
    })
    expect(answer).toMatchObject({
      model: 'tiny',
      message: { role: 'assistant', content: 'word0 word1 ' },
      done: true,
      done_reason: 'stop',
      prompt_eval_count: 7,
      prompt_eval_duration: 10_000_000,
      eval_count: 4,
      eval_duration: 40_000_000,
    })
    expect(answer.total_duration).toBeGreaterThan(answer.load_duration)
    expect(Number.isInteger(answer.total_duration)).toBe(true)
    expect(seen().path).toBe('/v1/chat/completions')
    expect(seen().body).toEqual({
      model: 'tiny',
      messages: [{ role: 'system', content: 'Be brief.' }, ...user('hello')],
      temperature: 0.5,
      max_tokens: 20,
      stop: ['\n'],
      seed: 7,
      top_k: 40,
    })
  })

  test('streams, and the last line has the counts', async () => {
    const lines = []
    for await (const line of await client.chat({ model: 'tiny', messages: user('hello'), stream: true })) {
      lines.push(line)
    }
    expect(lines.map((line) => line.message.content).join('')).toBe('word0 word1 word2 word3 ')
    expect(lines.slice(0, -1).every((line) => line.done === false)).toBe(true)
    expect(lines.at(-1)).toMatchObject({
      done: true,
      done_reason: 'stop',
      eval_count: 4,
      prompt_eval_count: 7,
    })
  })

  test('streams by default, as lines of JSON', async () => {
    const response = await stand.post('/api/chat', { model: 'tiny', messages: user('!astral') })
    expect(response.headers.get('content-type')).toBe('application/x-ndjson')
    expect(response.headers.get('x-request-id')).toMatch(/^req_/)
    const lines = (await response.text()).trimEnd().split('\n')
    const said = lines.map((line) => (JSON.parse(line) as { message: { content: string } }).message.content)
    expect(said.join('')).toBe('é中🙂ß')
  })

  test('tells thinking apart, unless it was switched off', async () => {
    const answer = await client.chat({ model: 'tiny', messages: user('!think'), think: true })
    expect(answer.message).toMatchObject({ thinking: 'let me see', content: 'word0 ' })
    const off = await client.chat({ model: 'tiny', messages: user('!think'), think: false })
    expect(off.message.thinking).toBeUndefined()
  })

  test.each([false, true])('calls tools, and takes their results (stream: %s)', async (stream) => {
    const request = { model: 'tiny', messages: user('!calls'), tools: [weather] }
    const calls = []
    if (stream) {
      for await (const line of await client.chat({ ...request, stream: true })) {
        calls.push(...(line.message.tool_calls ?? []))
      }
    } else calls.push(...((await client.chat(request)).message.tool_calls ?? []))
    expect(calls).toMatchObject([
      { function: { name: 'weather', arguments: { city: 'Bern' } } },
      { function: { name: 'clock', arguments: {} } },
    ])
    await client.chat({
      ...request,
      messages: [
        ...user('How is it?'),
        { role: 'assistant', content: '', tool_calls: calls },
        { role: 'tool', content: 'noon', tool_name: 'clock' },
        { role: 'tool', content: 'sunny', tool_name: 'weather' },
        ...user('And?'),
      ],
    })
    const messages = seen().body.messages as { tool_call_id?: string; tool_calls?: { id: string }[] }[]
    const [first, second] = messages[1]!.tool_calls!
    expect(messages[2]!.tool_call_id).toBe(second!.id)
    expect(messages[3]!.tool_call_id).toBe(first!.id)
  })

  test('asks for JSON, with and without a schema', async () => {
    const schema = { type: 'object', properties: { city: { type: 'string' } } }
    const answer = await client.chat({ model: 'tiny', messages: user('hi'), format: schema })
    expect(JSON.parse(answer.message.content)).toEqual({ city: 'Bern' })
    await client.chat({ model: 'tiny', messages: user('hi'), format: 'json' })
    expect(seen().body.response_format).toEqual({ type: 'json_object' })
  })

  test.each(['!late-error', '!llama-error', '!cut', '!die-mid', '!alien'])(
    'that breaks in the middle (%s) raises the client’s error',
    async (fault) => {
      const read = async () => {
        for await (const _ of await client.chat({ model: 'tiny', messages: user(fault), stream: true })) {
          // Until it breaks.
        }
      }
      await expect(read()).rejects.toThrow()
    },
  )

  test('is cancelled at the engine when the client aborts', async () => {
    const before = stand.engine.aborted
    const stream = await client.chat({ model: 'tiny', messages: user('!slow'), stream: true })
    const read = async () => {
      for await (const _ of stream) stream.abort()
    }
    await expect(read()).rejects.toThrow(/abort/i)
    await eventually('the engine to see it', () => stand.engine.aborted === before + 1)
  })

  test('says something on a stream while the model loads', async () => {
    stand.node.models[0]!.state = 'disk'
    stand.node.loader = () => new Promise((resolve) => setTimeout(resolve, 2_600))
    const lines = []
    for await (const line of await client.chat({ model: 'tiny', messages: user('hello'), stream: true })) {
      lines.push(line)
    }
    expect(lines[0]).toMatchObject({ message: { content: '' }, done: false })
    expect(lines.map((line) => line.message.content).join('')).toBe('word0 word1 word2 word3 ')
    expect(lines.at(-1)!.load_duration).toBeGreaterThan(1e9)
  })
})

describe('generate', () => {
  test('goes through the chat template, with system', async () => {
    const answer = await client.generate({ model: 'tiny:latest', prompt: 'hello', system: 'Be brief.' })
    expect(answer).toMatchObject({
      model: 'tiny:latest',
      response: 'word0 word1 ',
      done: true,
      done_reason: 'stop',
    })
    expect(seen().body).toEqual({
      model: 'tiny',
      messages: [{ role: 'system', content: 'Be brief.' }, ...user('hello')],
    })
  })

  test('streams', async () => {
    let text = ''
    for await (const line of await client.generate({ model: 'tiny', prompt: 'hello', stream: true })) {
      text += line.response
    }
    expect(text).toBe('word0 word1 word2 word3 ')
  })

  test('takes a raw prompt as it is', async () => {
    expect((await client.generate({ model: 'tiny', prompt: 'hello', raw: true })).response).toBe(
      'word0 word1 ',
    )
    expect(seen().path).toBe('/v1/completions')
    expect(seen().body.prompt).toBe('hello')
  })

  test('tells a length', async () => {
    expect((await client.generate({ model: 'tiny', prompt: '!long' })).done_reason).toBe('length')
  })
})

describe('embeddings', () => {
  test('of one text and of many', async () => {
    const one = await client.embed({ model: 'tiny', input: 'hello' })
    expect(one).toMatchObject({ model: 'tiny', embeddings: [[0.25, -0.5, 1]], prompt_eval_count: 5 })
    expect((await client.embed({ model: 'tiny', input: ['a', 'b'] })).embeddings).toHaveLength(2)
    expect((await client.embeddings({ model: 'tiny', prompt: 'hello' })).embedding).toEqual([0.25, -0.5, 1])
  })
})

describe('models', () => {
  test('are listed, described and shown running', async () => {
    const { models } = await client.list()
    expect(models.map((model) => model.name)).toEqual(['tiny', 'second'])
    expect(models[0]).toMatchObject({
      size: 6e8,
      details: { format: 'gguf', family: 'llama', parameter_size: '1.0B', quantization_level: 'Q4_0' },
    })
    expect(models[0]!.digest).toMatch(/^[0-9a-f]{64}$/)
    const shown = await client.show({ model: 'tiny' })
    expect(shown.capabilities).toEqual(['completion', 'tools'])
    expect(shown.model_info).toMatchObject({ 'general.architecture': 'llama', 'llama.context_length': 4096 })
    const running = await client.ps()
    expect(running.models.map((model) => model.name)).toEqual(['tiny'])
    expect((await client.version()).version).toMatch(/^\d+\.\d+\.\d+$/)
  })

  test('are loaded and unloaded by keep_alive', async () => {
    const loaded = await client.generate({ model: 'second', prompt: '' })
    expect(loaded).toMatchObject({ done: true, done_reason: 'load' })
    const unloaded = await client.chat({ model: 'tiny', messages: [], keep_alive: 0 })
    expect(unloaded.done_reason).toBe('unload')
    expect(stand.node.models[0]!.state).toBe('disk')
    stand.node.loader = async () => undefined
    await client.chat({ model: 'tiny', messages: user('hello'), keep_alive: '10m' })
    const [kept] = (await client.ps()).models
    expect(new Date(kept!.expires_at).getTime()).toBeGreaterThan(Date.now() + 9 * 60_000)
    await client.chat({ model: 'tiny', messages: user('hello'), keep_alive: -1 })
    expect(String((await client.ps()).models[0]!.expires_at)).toContain('2318')
    await client.chat({ model: 'tiny', messages: user('hello'), keep_alive: 0 })
    await eventually('it to be unloaded', () => stand.node.models[0]!.state === 'disk')
    stand.node.models[0]!.state = 'ready'
  })

  test('are loaded anew for a longer context, up to what they were trained for', async () => {
    stand.node.loads.length = 0
    await client.chat({ model: 'tiny', messages: user('hello'), options: { num_ctx: 100_000 } })
    expect(stand.node.loads).toEqual([])
    stand.node.models[0]!.contextMax = 8192
    await client.chat({ model: 'tiny', messages: user('hello'), options: { num_ctx: 100_000 } })
    expect(stand.node.loads).toEqual([{ id: 'tiny', contextTokens: 8192 }])
  })
})

describe('errors', () => {
  test('of an unknown model are a 404 with a sentence', async () => {
    const failure = await failureOf(client.chat({ model: 'none', messages: user('x') }))
    expect(failure).toMatchObject({ name: 'ResponseError', status_code: 404 })
    expect(failure!.message).toContain('There is no model "none" here.')
  })

  test.each([
    ['a wrong type', { options: { temperature: 'hot' } }, 'options.temperature must be a number'],
    ['an unknown option', { options: { warmth: 1 } }, 'Unknown parameter "options.warmth"'],
    ['an unknown parameter', { colour: 1 }, 'Unknown parameter "colour"'],
    ['a wrong keep_alive', { keep_alive: 'long' }, 'keep_alive must be'],
    [
      'images',
      { messages: [{ role: 'user', content: 'x', images: ['iVBORw0KGgo='] }] },
      'cannot read "images"',
    ],
    ['what no engine does', { options: { tfs_z: 0.5 } }, 'options.tfs_z cannot be honoured here'],
    ['what this engine does not', { options: { min_p: 0.1 } }, 'cannot honour "options.min_p"'],
  ])('name the field: %s', async (_, change, words) => {
    const failure = await failureOf(
      client.chat({ model: 'tiny', messages: user('x'), ...(change as object) }),
    )
    expect(failure).toMatchObject({ status_code: 400 })
    expect(failure!.message).toContain(words)
  })

  test('of what Holon does otherwise say how', async () => {
    const pulled = await failureOf(client.pull({ model: 'llama3' }))
    expect(pulled).toMatchObject({ status_code: 501 })
    expect(pulled!.message).toContain('holon pull')
    expect(await failureOf(client.delete({ model: 'tiny' }))).toMatchObject({ status_code: 501 })
    expect(await failureOf(client.copy({ source: 'tiny', destination: 'b' }))).toMatchObject({
      status_code: 501,
    })
    expect(await failureOf(client.push({ model: 'tiny' }))).toMatchObject({ status_code: 501 })
    expect(await failureOf(client.create({ model: 'b', from: 'tiny' }))).toMatchObject({ status_code: 501 })
  })

  test('of the engine keep their message', async () => {
    const failure = await failureOf(client.chat({ model: 'tiny', messages: user('!context') }))
    expect(failure).toMatchObject({ status_code: 400 })
    expect(failure!.message).toContain('context size')
  })

  test('of a missing key are in the envelope too', async () => {
    const locked = await startStand({ apiKey: 'secret' })
    expect(await failureOf(new Ollama({ host: locked.url }).list())).toMatchObject({ status_code: 401 })
    const headers = { authorization: 'Bearer secret' }
    expect((await new Ollama({ host: locked.url, headers }).list()).models).toHaveLength(1)
    await locked.stop()
  })
})

test('Ollama’s clients are greeted at /, and browsers get the page', async () => {
  const greeted = await fetch(stand.url, { headers: { 'user-agent': 'ollama-js/0.6.4 (x64 linux)' } })
  expect(await greeted.text()).toBe('Ollama is running')
  expect((await fetch(stand.url, { method: 'HEAD' })).status).toBe(200)
  expect((await fetch(stand.url)).headers.get('content-type')).toMatch(/text\/html/)
})
