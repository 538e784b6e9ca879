import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findUsage } from './usage-scan.ts'

const find = (text: string) => findUsage(Buffer.from(text))

describe('finding usage in an answer', () => {
  test('reads OpenAI’s counts and llama-server’s timings', () => {
    const usage = { prompt_tokens: 10, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } }
    const timings = { prompt_n: 6, prompt_per_second: 200.5, predicted_n: 5, predicted_per_second: 50 }
    expect(find(JSON.stringify({ choices: [], usage, timings }))).toEqual({
      promptTokens: 10,
      cachedTokens: 4,
      completionTokens: 5,
      prefillTokS: 200.5,
      decodeTokS: 50,
    })
  })

  test('makes do with timings alone, whose prompt count leaves the cached tokens out', () => {
    const found = find('data: {"timings":{"cache_n":3,"prompt_n":4,"predicted_n":2}}\n\ndata: [DONE]\n\n')
    expect(found).toMatchObject({ promptTokens: 7, cachedTokens: 3, completionTokens: 2, decodeTokS: null })
  })

  test('takes the last one and skips nulls, as vLLM sends on every chunk', () => {
    const text =
      'data: {"usage":{"prompt_tokens":1}}\ndata: {"usage": {"prompt_tokens":2}}\ndata: {"usage":null}\n'
    expect(find(text)?.promptTokens).toBe(2)
  })

  test('is not fooled by an answer that quotes usage', () => {
    const content = '{"usage":{"prompt_tokens":999}}'
    const answer = { choices: [{ message: { content } }], usage: { prompt_tokens: 3 } }
    expect(find(JSON.stringify(answer))?.promptTokens).toBe(3)
    expect(find(JSON.stringify({ choices: [{ message: { content } }] }))).toBeNull()
  })

  test('never throws and never gives a count that is none, whatever the bytes', () => {
    const pieces = fc.constantFrom(
      '"usage"',
      '"timings"',
      ':',
      '{',
      '}',
      '"prompt_tokens":-1',
      '1e999',
      '"',
      '\\',
      'null',
    )
    fc.assert(
      fc.property(fc.array(pieces), (parts) => {
        const found = find(parts.join(''))
        if (found) expect(Number.isInteger(found.promptTokens) && found.promptTokens >= 0).toBe(true)
      }),
    )
  })
})
