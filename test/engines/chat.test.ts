import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding } from '../../src/bench/random-gguf.ts'
import { startTiny, type TestEngine } from './embedded-engine.ts'

const chat = '/v1/chat/completions'
const messages = [{ role: 'user', content: 'Hello there' }]
/** Its answers end where the request says, or where a grammar is complete. */
const hello = { model: 'tiny', messages, ...neverEnding() }
let tiny: TestEngine
beforeAll(async () => {
  tiny = await startTiny()
})
afterAll(() => tiny.close())

describe('a chat answer of the embedded engine', () => {
  test('has the shape of OpenAI and the timings of llama-server', async () => {
    const answer = await tiny.ask(chat, { ...hello, max_tokens: 8, temperature: 0 })
    expect(answer).toMatchObject({ object: 'chat.completion', model: 'tiny' })
    expect(answer.choices[0]).toMatchObject({ index: 0, finish_reason: 'length', logprobs: null })
    expect(answer.choices[0]?.message.role).toBe('assistant')
    expect(answer.usage.completion_tokens).toBe(8)
    expect(answer.usage.total_tokens).toBe(answer.usage.prompt_tokens + 8)
    const { cache_n, prompt_n, predicted_n, predicted_per_second } = answer.timings
    expect(cache_n + prompt_n).toBe(answer.usage.prompt_tokens)
    expect(predicted_n).toBe(8)
    expect(predicted_per_second).toBeGreaterThan(0)
  })

  test('streams the same text it gives whole', async () => {
    const request = { ...hello, max_tokens: 60, temperature: 1, seed: 7, top_k: 0, top_p: 1, min_p: 0 }
    const whole = await tiny.ask(chat, request)
    const chunks = await tiny.stream(chat, request)
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    expect(text).toBe(whole.choices[0]?.message.content)
    expect(chunks[0]?.choices[0]?.delta).toMatchObject({ role: 'assistant' })
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('length')
    expect(chunks.at(-1)?.timings?.predicted_n).toBe(60)
    expect(chunks.every((chunk) => chunk.usage === undefined)).toBe(true)
  })

  test('ends with usage and timings in a chunk without choices when usage is asked for', async () => {
    const chunks = await tiny.stream(chat, {
      ...hello,
      max_tokens: 4,
      stream_options: { include_usage: true },
    })
    const last = chunks.at(-1)
    expect(last?.choices).toEqual([])
    expect(last?.usage?.completion_tokens).toBe(4)
    expect(last?.timings?.predicted_n).toBe(4)
    expect(chunks.slice(0, -1).every((chunk) => chunk.usage === null)).toBe(true)
  })

  test('is the same for the same seed and differs for another', async () => {
    const request = { ...hello, max_tokens: 30, temperature: 1.5, top_k: 0, top_p: 1, min_p: 0 }
    const answers = await Promise.all([1, 1, 2].map((seed) => tiny.ask(chat, { ...request, seed })))
    const [a, b, c] = answers.map((answer) => answer.choices[0]?.message.content)
    expect(a).toBe(b)
    expect(a).not.toBe(c)
  })

  test('splits no character between chunks', async () => {
    // A random model of single bytes, held by a grammar to characters of two and three bytes. The bytes that begin
    // overlong forms are banned: llama.cpp's grammar reads those as the same character.
    const overlong = [0xc0, 0xc1, 0xe0, 0xe1, ...Array.from({ length: 16 }, (_, index) => 0xf0 + index)]
    const logit_bias = Object.fromEntries(overlong.map((byte) => [String(byte), -100]))
    const grammar = 'root ::= [äöü€]{40}'
    const chunks = await tiny.stream(chat, {
      ...hello,
      grammar,
      logit_bias,
      max_tokens: 200,
      temperature: 1,
      seed: 3,
    })
    const pieces = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '')
    expect(pieces.join('')).toMatch(/^[äöü€]{40}$/u)
    expect(pieces.filter((piece) => piece !== '').every((piece) => /^[äöü€]+$/u.test(piece))).toBe(true)
  })

  test('stops before a stop string, whatever tokens it is made of, and leaks no part of it', async () => {
    const grammar = 'root ::= "one two END three"'
    const chunks = await tiny.stream(chat, { ...hello, grammar, stop: [' END'], max_tokens: 60 })
    const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    expect(text).toBe('one two')
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop')
  })

  test('gives n different choices and counts the prompt once', async () => {
    const request = {
      ...hello,
      n: 3,
      max_tokens: 12,
      temperature: 1.5,
      top_k: 0,
      top_p: 1,
      min_p: 0,
      seed: 11,
    }
    const answer = await tiny.ask(chat, request)
    const texts = answer.choices.map((choice) => choice.message.content)
    expect(new Set(texts).size).toBe(3)
    expect(answer.choices.map((choice) => choice.index)).toEqual([0, 1, 2])
    expect(answer.usage.completion_tokens).toBe(36)
    const single = await tiny.ask(chat, { ...hello, max_tokens: 1 })
    expect(answer.usage.prompt_tokens).toBe(single.usage.prompt_tokens)
  })

  test('reports log probabilities that are a distribution over the whole vocabulary', async () => {
    // Without a bias, which they leave out: greedily this prompt leads to no end in five tokens.
    const settings = { max_tokens: 5, temperature: 0, logprobs: true, top_logprobs: 20 }
    const answer = await tiny.ask(chat, { messages, ...settings })
    const entries = answer.choices[0]?.logprobs?.content ?? []
    expect(entries).toHaveLength(5)
    for (const entry of entries) {
      expect(entry.top_logprobs).toHaveLength(20)
      // Greedy: the chosen token is the likeliest.
      expect(entry.logprob).toBe(entry.top_logprobs[0]?.logprob)
      const mass = entry.top_logprobs.reduce((sum, top) => sum + Math.exp(top.logprob), 0)
      expect(mass).toBeGreaterThan(20 / 512)
      expect(mass).toBeLessThan(1)
    }
    expect(Buffer.from(entries.flatMap((entry) => entry.bytes)).toString()).toBe(
      answer.choices[0]?.message.content,
    )
  })

  test('follows logit_bias: a banned token never comes, a forced one always', async () => {
    const { tokens } = await tiny.ask<{ tokens: number[] }>('/tokenize', { content: 'q' })
    const forced = await tiny.ask(chat, { ...hello, max_tokens: 5, logit_bias: { [String(tokens[0])]: 100 } })
    expect(forced.choices[0]?.message.content).toBe('qqqqq')
    const greedy = await tiny.ask(chat, { ...hello, max_tokens: 1, temperature: 0, logprobs: true })
    const first = greedy.choices[0]?.logprobs?.content[0]?.token ?? ''
    const id = (await tiny.ask<{ tokens: number[] }>('/tokenize', { content: first })).tokens[0]
    const banned = await tiny.ask(chat, {
      ...hello,
      max_tokens: 1,
      temperature: 0,
      logprobs: true,
      logit_bias: { [String(id)]: -100 },
    })
    expect(banned.choices[0]?.logprobs?.content[0]?.token).not.toBe(first)
  })

  test('repeats itself less under penalties', async () => {
    const request = { ...hello, max_tokens: 60, temperature: 0, logprobs: true }
    const distinct = async (extra: object): Promise<number> => {
      const answer = await tiny.ask(chat, { ...request, ...extra })
      return new Set(answer.choices[0]?.logprobs?.content.map((entry) => entry.token)).size
    }
    const plain = await distinct({})
    expect(await distinct({ frequency_penalty: 2, presence_penalty: 2 })).toBeGreaterThan(plain)
  })

  test('reads again only what is new of a longer conversation', async () => {
    const first = await tiny.ask(chat, { ...hello, max_tokens: 10, temperature: 0 })
    const content = first.choices[0]?.message.content
    const longer = [...messages, { role: 'assistant', content }, { role: 'user', content: 'And more' }]
    const second = await tiny.ask(chat, { ...hello, messages: longer, max_tokens: 3 })
    expect(second.timings.cache_n).toBeGreaterThanOrEqual(first.usage.prompt_tokens)
    expect(second.usage.prompt_tokens_details.cached_tokens).toBe(second.timings.cache_n)
  })

  test('goes on with an unfinished assistant message', async () => {
    const grammar = 'root ::= " world"'
    const unfinished = { messages: [...messages, { role: 'assistant', content: 'Hello' }] }
    const { prompt } = await tiny.ask<{ prompt: string }>('/apply-template', unfinished)
    expect(prompt.endsWith('<|im_start|>assistant\nHello')).toBe(true)
    const answer = await tiny.ask(chat, { ...hello, ...unfinished, grammar, max_tokens: 20 })
    expect(answer.choices[0]?.message.content).toBe(' world')
  })
})

describe('what a model brings along', () => {
  test('settings in its file hold when a request does not say otherwise', async () => {
    const greedy = await startTiny({ numbers: { 'general.sampling.temp': 0 } })
    try {
      const ask = (extra: object): Promise<string | null | undefined> =>
        greedy
          .ask(chat, { ...hello, max_tokens: 30, ...extra })
          .then((answer) => answer.choices[0]?.message.content)
      expect(await ask({})).toBe(await ask({ temperature: 0 }))
      expect(await ask({ temperature: 2, top_k: 0, top_p: 1, min_p: 0 })).not.toBe(await ask({}))
    } finally {
      await greedy.close()
    }
  })

  test('thinking is kept apart from the answer', async () => {
    const thinker = await startTiny({
      chatTemplate: "{{ messages[0].content }}<think>{{ '\\n' }}",
      markers: ['<think>', '</think>'],
    })
    try {
      const grammar = 'root ::= "let me see</think>\\n\\nyes"'
      const answer = await thinker.ask<{
        choices: { message: { content: string; reasoning_content: string } }[]
      }>(chat, { messages, grammar, max_tokens: 50 })
      expect(answer.choices[0]?.message).toMatchObject({ content: 'yes', reasoning_content: 'let me see' })
    } finally {
      await thinker.close()
    }
  })
})
