/** A model that takes long to load, seen by the real clients of every dialect: told to come back, coming back, or kept alive. */
import Anthropic from '@anthropic-ai/sdk'
import { Ollama } from 'ollama'
import OpenAI from 'openai'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { aModel } from '../hub/fake-node.ts'
import { chat, type Stand, startStand } from '../hub/start-hub.ts'

let stand: Stand
let open: () => void

beforeEach(async () => {
  stand = await startStand({ limits: { coldMs: 300, streamHeadMs: 100 } })
  stand.node.models = [aModel('tiny', { state: 'disk' })]
  stand.node.changed()
  const loaded = new Promise<void>((resolve) => {
    open = resolve
  })
  stand.node.loader = (report) => {
    report({ phase: 'reading weights', percent: 55, etaS: 1 })
    return loaded
  }
})
afterEach(async () => {
  open()
  await stand.stop()
})

const messages = [{ role: 'user' as const, content: 'hello' }]

test.each([
  ['OpenAI chat', '/v1/chat/completions', chat('hello')],
  ['OpenAI completions', '/v1/completions', { model: 'tiny', prompt: 'hello' }],
  ['OpenAI Responses', '/v1/responses', { model: 'tiny', input: 'hello' }],
  ['Anthropic', '/v1/messages', { model: 'tiny', max_tokens: 5, messages }],
  ['Ollama chat', '/api/chat', { model: 'tiny', stream: false, messages }],
  [
    'Ollama chat with a context',
    '/api/chat',
    { model: 'tiny', stream: false, messages, options: { num_ctx: 2048 } },
  ],
  ['Ollama generate', '/api/generate', { model: 'tiny', stream: false, prompt: 'hello' }],
  ['Ollama load', '/api/generate', { model: 'tiny', stream: false }],
])('%s: 503 with Retry-After and the progress beside the error', async (_, path, body) => {
  const response = await stand.post(path, body)
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  const told = (await response.json()) as { loading?: object; error: unknown }
  expect(told.loading).toEqual({ phase: 'reading weights', percent: 55, etaS: 1 })
  expect(JSON.stringify(told.error)).toContain('still loading (55 %)')
})

describe('the real clients, left to themselves', () => {
  /** Opens once the first refusal is out. */
  const soon = () => setTimeout(() => open(), 700)

  test('OpenAI’s comes back by itself and is answered', async () => {
    soon()
    const client = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: 'none' })
    const answer = await client.chat.completions.create({ model: 'tiny', messages })
    expect(answer.choices[0]?.message.content).toContain('word1')
    const response = await client.responses.create({ model: 'tiny', input: 'hello' })
    expect(response.output_text).toContain('word1')
  })

  test('Anthropic’s comes back by itself and is answered', async () => {
    soon()
    const client = new Anthropic({ baseURL: stand.url, apiKey: 'none' })
    const answer = await client.messages.create({ model: 'tiny', max_tokens: 20, messages })
    expect(answer.content[0]).toMatchObject({ type: 'text', text: expect.stringContaining('word1') })
  })

  test('Ollama’s does not come back by itself, and is told why', async () => {
    const client = new Ollama({ host: stand.url })
    const failure = await client.chat({ model: 'tiny', messages }).catch((error: unknown) => error)
    expect(failure).toMatchObject({
      status_code: 503,
      error: expect.stringContaining('still loading (55 %)'),
    })
    open()
    await expect.poll(() => stand.node.models[0]?.state).toBe('ready')
    const answer = await client.chat({ model: 'tiny', messages })
    expect(answer.message.content).toContain('word1')
  })

  test('streams of all of them are kept alive until the model is there', async () => {
    soon()
    const openai = new OpenAI({ baseURL: `${stand.url}/v1`, apiKey: 'none', maxRetries: 0 })
    const anthropic = new Anthropic({ baseURL: stand.url, apiKey: 'none', maxRetries: 0 })
    const ollama = new Ollama({ host: stand.url })
    const read = {
      openai: async () => {
        let text = ''
        for await (const piece of await openai.chat.completions.create({
          model: 'tiny',
          messages,
          stream: true,
        }))
          text += piece.choices[0]?.delta.content ?? ''
        return text
      },
      anthropic: async () =>
        anthropic.messages.stream({ model: 'tiny', max_tokens: 20, messages }).finalText(),
      ollama: async (options: object) => {
        let text = ''
        for await (const piece of await ollama.chat({ model: 'tiny', messages, stream: true, options }))
          text += piece.message.content
        return text
      },
    }
    const texts = await Promise.all([
      read.openai(),
      read.anthropic(),
      read.ollama({}),
      read.ollama({ num_ctx: 2048 }),
    ])
    for (const text of texts) expect(text).toContain('word1')
  })
})

test('the deadline of a request ends its wait for a load, and for its turn', async () => {
  const headers = { 'content-type': 'application/json', 'x-holon-deadline': '0.2' }
  const path = '/v1/chat/completions'
  const cold = await stand.post(path, chat('hello', { stream: true }), { headers })
  const told = cold.status === 200 ? await cold.text() : JSON.stringify(await cold.json())
  expect(told).toContain('"code":"deadline_exceeded"')
  open()
  await expect.poll(() => stand.node.models[0]?.state).toBe('ready')
  stand.node.parallel = 1
  const leaving = new AbortController()
  const busy = stand.post(path, chat('!hang'), { signal: leaving.signal, headers: {} }).catch(() => null)
  await expect.poll(() => stand.engine.inFlight).toBe(1)
  const late = await stand.post(path, chat('hello'), { headers })
  expect(late.status).toBe(504)
  expect(Number(late.headers.get('retry-after'))).toBeGreaterThanOrEqual(1)
  expect(await late.text()).toContain('it waited for its turn')
  leaving.abort()
  await busy
  // One that is answered in time is not cut by its deadline.
  const slow = await stand.post(path, chat('!slow', { stream: true }), { headers })
  expect(await slow.text()).toContain('[DONE]')
  for (const bad of ['0', '-1', 'soon', '1e9']) {
    const refused = await stand.post(path, chat('hello'), {
      headers: { ...headers, 'x-holon-deadline': bad },
    })
    expect(refused.status).toBe(400)
  }
})
