import { afterEach, describe, expect, test } from 'vitest'
import { ollamaAnswer } from '../../src/engines/ollama/answer.ts'
import { ollamaQuestion } from '../../src/engines/ollama/question.ts'
import { type AttachedStand, attach, eventsOf, startFake, wordsOf } from './attached-stand.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})
async function stand(options: Parameters<typeof attach>[2] = {}, ...args: string[]): Promise<AttachedStand> {
  const program = await startFake('fake-ollama.mjs', ...args)
  open.push(program.stop)
  const holon = await attach('ollama', program.url, options)
  open.push(holon.close)
  return holon
}
const llama = 'llama3.2:3b'
const tools = [
  { type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: {} } } },
]

describe('an Ollama that was already there', () => {
  test('offers what lies on its disk under its own names, and nothing that runs in the cloud', async () => {
    const holon = await stand()
    expect(holon.agent.state().models).toMatchObject([
      {
        id: llama,
        engine: 'ollama',
        state: 'disk',
        quant: 'Q4_K_M',
        sizeBytes: 2_019_393_189,
        contextMax: 131_072,
        paramsTotal: 3_212_749_888,
        embedding: false,
        format: 'gguf',
      },
      { id: 'nomic-embed-text:latest', embedding: true, state: 'disk' },
    ])
    expect(await holon.engine.detect(AbortSignal.timeout(5000))).toMatchObject({
      available: true,
      version: '0.33.0',
    })
  })

  test('loads when it is asked for, tells its memory, and unloads', async () => {
    const holon = await stand({ budget: 8e9 })
    await holon.agent.load(llama, {})
    expect(holon.model(llama)?.state).toBe('ready')
    expect(holon.agent.ps()).toMatchObject([
      {
        id: llama,
        engine: 'ollama',
        state: 'ready',
        memoryBytes: 4_038_786_378,
        contextTokens: 4096,
        parallel: 1,
      },
    ])
    expect(holon.agent.state().memory).toEqual({ budgetBytes: 8e9, usedBytes: 4_038_786_378 })
    await holon.agent.unload(llama)
    expect(holon.model(llama)?.state).toBe('disk')
    expect(holon.agent.ps()).toEqual([])
    await expect(holon.agent.load(llama, { contextTokens: 8192 })).rejects.toMatchObject({ code: 'usage' })
  })

  test('turns its nanoseconds into speeds and its counts into usage, whole and streamed', async () => {
    const holon = await stand()
    const whole = await (await holon.chat(llama, 'hello')).json()
    expect(whole).toMatchObject({
      object: 'chat.completion',
      model: llama,
      choices: [
        {
          message: { role: 'assistant', content: 'word0 word1 word2 word3 word4 word5' },
          finish_reason: 'stop',
        },
      ],
      usage: { prompt_tokens: 20, completion_tokens: 6, total_tokens: 26 },
      timings: { prompt_per_second: 200, predicted_per_second: 50 },
    })
    const asked = { stream: true, stream_options: { include_usage: true }, max_tokens: 4 }
    const { events, done } = await eventsOf(await holon.chat(llama, 'hello', asked))
    expect(done).toBe(true)
    expect(wordsOf(events)).toBe('word0 word1 word2 word3')
    expect(events[0]?.choices?.[0]?.delta?.role).toBe('assistant')
    expect(events.at(-2)?.choices?.[0]?.finish_reason).toBe('length')
    expect(events.at(-1)).toMatchObject({ choices: [], usage: { prompt_tokens: 20, completion_tokens: 4 } })
    expect(holon.agent.ps()[0]).toMatchObject({ prefillTokS: 200, decodeTokS: 50 })
    const uncounted = await (await holon.chat(llama, 'fault:no-prompt-count')).json()
    expect(uncounted).toMatchObject({ usage: { prompt_tokens: 0, completion_tokens: 6 } })
    expect((uncounted as { timings: object }).timings).not.toHaveProperty('prompt_per_second')
  })

  test('calls tools, streamed and whole, and reads their answers', async () => {
    const holon = await stand()
    const whole = (await (await holon.chat(llama, 'weather?', { tools })).json()) as { choices: unknown[] }
    expect(whole.choices).toMatchObject([
      {
        finish_reason: 'tool_calls',
        message: {
          content: null,
          tool_calls: [
            { type: 'function', function: { name: 'weather', arguments: '{"city":"Paris","days":2}' } },
          ],
        },
      },
    ])
    const { events } = await eventsOf(await holon.chat(llama, 'weather?', { tools, stream: true }))
    expect(events[0]?.choices?.[0]?.delta?.tool_calls).toMatchObject([
      { index: 0, function: { name: 'weather' } },
    ])
    expect(events.at(-1)?.choices?.[0]?.finish_reason).toBe('tool_calls')
  })

  test('embeds, and loads an embedding model without asking it to generate', async () => {
    const holon = await stand()
    await holon.agent.load('nomic-embed-text:latest', {})
    const response = await holon.post('/v1/embeddings', { model: 'nomic-embed-text:latest', input: 'hello' })
    expect(await response.json()).toMatchObject({
      data: [{ embedding: [5, 1] }],
      usage: { prompt_tokens: 3 },
    })
  })

  test('refuses by name what Ollama would drop in silence', async () => {
    const holon = await stand()
    const response = await holon.chat(llama, 'hi', { tools, tool_choice: 'required' })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { code: 'unsupported_parameter', param: 'tool_choice' },
    })
  })

  test.each(['cut-mid-stream', 'no-done', 'error-mid-stream'])(
    '%s is an error and no whole answer',
    async (fault) => {
      const holon = await stand()
      const { events, done } = await eventsOf(await holon.chat(llama, `fault:${fault}`, { stream: true }))
      expect(done).toBe(false)
      expect(events.at(-1)?.error?.code).toBe('engine_failed')
      if (fault === 'error-mid-stream')
        expect(events.at(-1)?.error?.message).toContain('runner process has terminated')
    },
  )

  test('a full queue and too little memory are told in its own words', async () => {
    const holon = await stand()
    const busy = await holon.chat(llama, 'fault:busy')
    expect(busy.status).toBe(503)
    expect(await busy.json()).toMatchObject({ error: { message: expect.stringContaining('server busy') } })
    const small = await stand({}, '--fault', 'no-memory')
    const refused = await small.chat(llama, 'hi')
    expect(refused.status).toBe(507)
    expect(await refused.json()).toMatchObject({ error: { code: 'model_too_big', source: 'engine' } })
    expect(small.model(llama)?.failure).toContain('9.9 GiB')
  })

  test('a caller that leaves frees it for the next', async () => {
    const holon = await stand({}, '--tokens', '200', '--delay-ms', '20')
    const leaver = new AbortController()
    const body = { model: llama, stream: true, messages: [{ role: 'user', content: 'hi' }] }
    await (await holon.post('/v1/chat/completions', body, leaver.signal)).body!.getReader().read()
    leaver.abort()
    await holon.until('the lease to be released', () => holon.agent.ps()[0]?.active === 0)
  })

  test('one that was only found goes from the list when it ends', async () => {
    const program = await startFake('fake-ollama.mjs')
    const holon = await attach('ollama', program.url, { explicit: false })
    open.push(holon.close)
    expect(holon.model(llama)?.state).toBe('disk')
    await program.stop()
    await holon.agent.refresh()
    expect(holon.agent.state()).toMatchObject({ models: [], engines: [] })
  })
})

describe('a question for Ollama', () => {
  test('keeps every parameter, under its name there', () => {
    expect(
      ollamaQuestion({
        model: 'm',
        stream: true,
        messages: [
          { role: 'developer', content: 'Be kind.' },
          {
            role: 'user',
            content: [
              { type: 'text', text: 'What?' },
              { type: 'image_url', image_url: { url: 'data:image/png;base64,QUJD' } },
            ],
          },
          {
            role: 'assistant',
            content: null,
            tool_calls: [{ id: 'c1', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
          },
          { role: 'tool', tool_call_id: 'c1', content: '42' },
        ],
        max_completion_tokens: 9,
        stop: 'END',
        top_k: 3,
        response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object' } } },
        reasoning_effort: 'none',
      }),
    ).toEqual({
      model: 'm',
      stream: true,
      messages: [
        { role: 'system', content: 'Be kind.' },
        { role: 'user', content: 'What?', images: ['QUJD'] },
        { role: 'assistant', content: '', tool_calls: [{ function: { name: 'f', arguments: { a: 1 } } }] },
        { role: 'tool', content: '42', tool_name: 'f' },
      ],
      options: { top_k: 3, num_predict: 9, stop: ['END'] },
      format: { type: 'object' },
      think: false,
    })
  })

  test('fetches no picture for a caller', () => {
    const content = [{ type: 'image_url', image_url: { url: 'http://169.254.169.254/' } }]
    expect(() => ollamaQuestion({ messages: [{ role: 'user', content }] })).toThrow(/data: URLs/)
  })
})

test('thinking comes as reasoning, and a line that is no JSON is an error', () => {
  const answer = ollamaAnswer({ model: 'm' })
  expect(answer.line('{"message":{"content":"","thinking":"Hm"},"done":false}')).toContain(
    '"reasoning_content":"Hm"',
  )
  expect(() => answer.line('<html>')).toThrow(/no JSON/)
})
