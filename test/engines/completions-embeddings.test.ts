import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding } from '../../src/bench/random-gguf.ts'
import { startTiny, type TestEngine } from './embedded-engine.ts'

let tiny: TestEngine
beforeAll(async () => {
  tiny = await startTiny()
})
afterAll(() => tiny.close())

interface Embeddings {
  data: { index: number; embedding: number[] | string }[]
  usage: { prompt_tokens: number }
}

describe('text completions', () => {
  test('continue a prompt given as text or as tokens alike', async () => {
    const { tokens } = await tiny.ask<{ tokens: number[] }>('/tokenize', {
      content: 'Hello there',
      add_special: true,
    })
    const settings = { max_tokens: 8, temperature: 0, ...neverEnding() }
    const fromText = await tiny.ask('/v1/completions', { prompt: 'Hello there', ...settings })
    const fromTokens = await tiny.ask('/v1/completions', { prompt: tokens, ...settings })
    expect(fromText.object).toBe('text_completion')
    expect(fromTokens.choices[0]?.text).toBe(fromText.choices[0]?.text)
    expect(fromText.usage).toMatchObject({ prompt_tokens: tokens.length, completion_tokens: 8 })
  })

  test('answer several prompts, numbered through', async () => {
    // A sampled answer of this model of random weights ended early once, in CI.
    const settings = { n: 2, max_tokens: 3, ...neverEnding() }
    const answer = await tiny.ask('/v1/completions', { prompt: ['a', 'b'], ...settings })
    expect(answer.choices.map((choice) => choice.index)).toEqual([0, 1, 2, 3])
    expect(answer.usage.completion_tokens).toBe(12)
  })

  test('stream in text_completion chunks with timings at the end', async () => {
    const chunks = await tiny.stream('/v1/completions', {
      prompt: 'Hello',
      max_tokens: 5,
      echo: true,
      ...neverEnding(),
    })
    expect(chunks.every((chunk) => chunk.object === 'text_completion')).toBe(true)
    expect(chunks[0]?.choices[0]?.text).toBe('Hello')
    expect(chunks.at(-1)?.timings?.predicted_n).toBe(5)
  })

  test('report logprobs in the older shape', async () => {
    const answer = await tiny.ask<{
      choices: { logprobs: { tokens: string[]; token_logprobs: number[]; top_logprobs: object[] } }[]
    }>('/v1/completions', { prompt: 'Hello', max_tokens: 3, temperature: 0, logprobs: 2, ...neverEnding() })
    const { tokens, token_logprobs, top_logprobs } = answer.choices[0]!.logprobs
    expect([tokens.length, token_logprobs.length, top_logprobs.length]).toEqual([3, 3, 3])
    expect(token_logprobs.every((value) => value < 0)).toBe(true)
  })

  test('tokens and text turn into each other', async () => {
    const content = 'Grüße, Wörld 😀!'
    const { tokens } = await tiny.ask<{ tokens: number[] }>('/tokenize', { content })
    expect(await tiny.ask('/detokenize', { tokens })).toEqual({ content })
  })
})

describe('embeddings', () => {
  test('have length one, are alike for alike texts, and base64 holds the same numbers', async () => {
    const input = ['the cat sat', 'the cat sat', 'zzzz qqqq']
    const plain = await tiny.ask<Embeddings>('/v1/embeddings', { input })
    const [a, b, c] = plain.data.map((entry) => entry.embedding as number[])
    const dot = (x: number[], y: number[]): number =>
      x.reduce((sum, value, index) => sum + value * y[index]!, 0)
    expect(dot(a!, a!)).toBeCloseTo(1, 5)
    expect(dot(a!, b!)).toBeCloseTo(1, 5)
    expect(dot(a!, c!)).toBeLessThan(0.999)
    const encoded = await tiny.ask<Embeddings>('/v1/embeddings', {
      input: input[0],
      encoding_format: 'base64',
    })
    const bytes = Buffer.from(encoded.data[0]!.embedding as string, 'base64')
    expect(bytes.length).toBe(64 * 4)
    for (const [index, value] of a!.entries()) expect(bytes.readFloatLE(index * 4)).toBeCloseTo(value, 5)
  })

  test('of an input longer than a batch use all of it', async () => {
    const long = 'word '.repeat(60)
    const both = await tiny.ask<Embeddings>('/v1/embeddings', { input: [`first ${long}`, `other ${long}`] })
    expect(both.usage.prompt_tokens).toBeGreaterThan(256)
    const [a, b] = both.data.map((entry) => entry.embedding as number[])
    expect(a).not.toEqual(b)
  })

  test('of an input longer than the context are refused', async () => {
    const refused = await tiny.refused('/v1/embeddings', { input: 'word '.repeat(600) })
    expect(refused).toMatchObject({ status: 400, error: { code: 'context_length_exceeded', param: 'input' } })
  })

  test('a model launched for embeddings embeds and refuses to write', async () => {
    const embedder = await startTiny({}, { embedding: true })
    try {
      const { data } = await embedder.ask<Embeddings>('/v1/embeddings', { input: 'hello' })
      expect(data[0]?.embedding).toHaveLength(64)
      const refused = await embedder.refused('/v1/completions', { prompt: 'x' })
      expect(refused).toMatchObject({ status: 400, error: { code: 'invalid_parameter', param: 'model' } })
    } finally {
      await embedder.close()
    }
  })
})
