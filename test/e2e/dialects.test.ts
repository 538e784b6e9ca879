/** The other dialects on the real program: `holon up`, the embedded engine, the demonstration model, the real clients. */
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually, type Running, startCli } from '../support/cli.ts'
import { makeTestHome } from '../support/home.ts'

const model = 'holon-demo'
const question = 'What is Holon?'
const home = makeTestHome()
let up: Running
let anthropic: Anthropic
let ollama: Ollama
let openai: OpenAI

beforeAll(async () => {
  up = startCli(['up', '--no-open'], { HOLON_HOME: home.root, HOLON_PORT: '0', HOLON_ENGINE: 'embedded' })
  const url = (await up.until(/Holon is up at (http:\S+)/))[1] ?? ''
  anthropic = new Anthropic({ baseURL: url, apiKey: 'none' })
  ollama = new Ollama({ host: url })
  openai = new OpenAI({ baseURL: `${url}/v1`, apiKey: 'none' })
})
afterAll(async () => {
  up.child.kill('SIGKILL')
  await up.finished
  home.remove()
})

const city = {
  type: 'object' as const,
  properties: { city: { type: 'string', enum: ['Bern', 'Oslo'] } },
  required: ['city'],
}
const isCity = expect.objectContaining({ city: expect.stringMatching(/^(Bern|Oslo)$/) })

describe('Anthropic', () => {
  const ask = { model, max_tokens: 60, messages: [{ role: 'user' as const, content: question }] }

  test('a message and a stream say the same', async () => {
    const cold = { ...ask, ...({ temperature: 0 } as object) }
    const message = await anthropic.messages.create(cold)
    const stream = anthropic.messages.stream(cold)
    const text = await stream.finalText()
    expect(message.content).toMatchObject([{ type: 'text', text }])
    expect(text).toMatch(/[a-z]{3}/)
    const { usage, stop_reason } = await stream.finalMessage()
    expect(stop_reason).toMatch(/^(end_turn|max_tokens)$/)
    expect(usage.output_tokens).toBeGreaterThan(3)
  })

  test('an answer that a stop sequence ended says which, whole and streamed', async () => {
    const cold = { ...ask, ...({ temperature: 0 } as object) }
    const { content } = await anthropic.messages.create(cold)
    const word = /\b[a-z]{4,}\b/.exec(content[0]?.type === 'text' ? content[0].text : '')?.[0] ?? ''
    const stopped = { ...cold, stop_sequences: ['never-said', word] }
    const whole = await anthropic.messages.create(stopped)
    const streamed = await anthropic.messages.stream(stopped).finalMessage()
    for (const message of [whole, streamed]) {
      expect(message).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: word })
      expect(JSON.stringify(message.content)).not.toContain(word)
    }
  })

  test('a forced tool is called, whole and streamed, and its result answered', async () => {
    const tools = [{ name: 'weather', description: 'Tells the weather.', input_schema: city }]
    const forced = { ...ask, max_tokens: 300, tools, tool_choice: { type: 'tool' as const, name: 'weather' } }
    const whole = await anthropic.messages.create(forced)
    const streamed = await anthropic.messages.stream(forced).finalMessage()
    for (const message of [whole, streamed]) {
      expect(message.stop_reason).toBe('tool_use')
      expect(message.content).toMatchObject([{ type: 'tool_use', name: 'weather', input: isCity }])
    }
    const [call] = whole.content
    if (call?.type !== 'tool_use') throw new Error('no call')
    const answer = await anthropic.messages.create({
      ...ask,
      ...({ temperature: 0 } as object),
      messages: [
        ...ask.messages,
        { role: 'assistant', content: whole.content },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: 'sunny' }] },
      ],
    })
    expect(answer.content[0]?.type).toBe('text')
  })

  test('tokens are counted as the answer counts them', async () => {
    const counted = await anthropic.messages.countTokens({ model, messages: ask.messages })
    const { usage } = await anthropic.messages.create({ ...ask, max_tokens: 1 })
    expect(counted.input_tokens).toBe(usage.input_tokens + (usage.cache_read_input_tokens ?? 0))
  })

  test('an image is refused by name', async () => {
    const source = { type: 'base64' as const, media_type: 'image/png' as const, data: 'iVBORw0KGgo=' }
    const request = anthropic.messages.create({
      ...ask,
      messages: [{ role: 'user', content: [{ type: 'image', source }] }],
    })
    await expect(request).rejects.toThrow(/cannot read .*image/)
  })
})

describe('Ollama', () => {
  const messages = [{ role: 'user', content: question }]

  test('chats, whole and streamed, with counts and durations', async () => {
    const options = { temperature: 0, num_predict: 60 }
    const whole = await ollama.chat({ model, messages, options })
    let text = ''
    let last = null
    for await (const line of await ollama.chat({ model, messages, options, stream: true })) {
      text += line.message.content
      last = line
    }
    expect(text).toBe(whole.message.content)
    expect(last).toMatchObject({ done: true, done_reason: whole.done_reason, eval_count: whole.eval_count })
    expect(whole.eval_duration).toBeGreaterThan(1e5)
  })

  test('calls tools and keeps to a schema', async () => {
    const format = city
    const placed = await ollama.generate({ model, prompt: question, format, options: { num_predict: 60 } })
    expect(JSON.parse(placed.response ?? '')).toEqual(isCity)
    const tool = {
      type: 'function',
      function: { name: 'weather', description: 'Tells it.', parameters: city },
    }
    const called = await ollama.chat({ model, messages, tools: [tool], options: { num_predict: 60 } })
    expect(called.done).toBe(true)
  })

  test('lists, shows, unloads and loads', async () => {
    expect((await ollama.list()).models.map((each) => each.name)).toContain(model)
    expect((await ollama.show({ model })).details.format).toBe('gguf')
    expect((await ollama.ps()).models[0]).toMatchObject({ name: model })
    const unloaded = await ollama.generate({ model, prompt: '', keep_alive: 0 })
    expect(unloaded.done_reason).toBe('unload')
    expect((await ollama.ps()).models).toEqual([])
    expect((await ollama.generate({ model, prompt: '', options: { num_ctx: 512 } })).done_reason).toBe('load')
    await eventually('it to run', async () => (await ollama.ps()).models.length === 1)
    await ollama.chat({ model, messages, options: { num_predict: 5 }, keep_alive: 0 })
    await eventually('it to be unloaded', async () => (await ollama.ps()).models.length === 0)
  })
})

describe('OpenAI Responses', () => {
  test('answers, whole and streamed, and goes on with what was said', async () => {
    const ask = { model, input: question, temperature: 0, max_output_tokens: 60 }
    const whole = await openai.responses.create(ask)
    let text = ''
    for await (const event of await openai.responses.create({ ...ask, stream: true })) {
      if (event.type === 'response.output_text.delta') text += event.delta
    }
    expect(text).toBe(whole.output_text)
    expect(text).toMatch(/[a-z]{3}/)
    const next = await openai.responses.create({ ...ask, input: 'And?', previous_response_id: whole.id })
    expect(next.usage!.input_tokens).toBeGreaterThan(whole.usage!.input_tokens)
  })

  test('a forced function is called, whole and streamed, and its output answered', async () => {
    const tools = [{ type: 'function' as const, name: 'weather', strict: true, parameters: city }]
    const ask = { model, input: question, tools, tool_choice: 'required' as const, max_output_tokens: 200 }
    const whole = await openai.responses.create({ ...ask, parallel_tool_calls: false })
    const streamed = await openai.responses.stream({ ...ask, parallel_tool_calls: false }).finalResponse()
    for (const response of [whole, streamed]) {
      expect(response.output).toMatchObject([{ type: 'function_call', name: 'weather' }])
    }
    const [call] = whole.output
    if (call?.type !== 'function_call') throw new Error('no call')
    expect(JSON.parse(call.arguments)).toEqual(isCity)
    const output = { type: 'function_call_output' as const, call_id: call.call_id, output: 'sunny' }
    const answer = await openai.responses.create({
      model,
      input: [output],
      previous_response_id: whole.id,
      max_output_tokens: 30,
      temperature: 0,
    })
    expect(answer.output[0]?.type).toBe('message')
  })

  test('keeps to a schema', async () => {
    const format = { type: 'json_schema' as const, name: 'place', schema: city, strict: true }
    const response = await openai.responses.create({ model, input: question, text: { format } })
    expect(JSON.parse(response.output_text)).toEqual(isCity)
  })
})
