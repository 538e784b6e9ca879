import { describe, expect, test } from 'vitest'
import { chooseContext } from './model-shape.ts'

const GiB = 2 ** 30
const shape = {
  weightsBytes: 4 * GiB,
  trainedContext: 32_768,
  cacheBytes: (tokens: number, parallel: number) => tokens * parallel * 128 * 1024,
}
const wish = { contextTokens: null, parallel: 4, availableBytes: 24 * GiB }

describe('the context for a model', () => {
  test('is the trained one, at most 8192 tokens, when there is plenty of memory', () => {
    expect(chooseContext(shape, wish)).toBe(8192)
    expect(chooseContext({ ...shape, trainedContext: 1024 }, wish)).toBe(1024)
  })

  test('shrinks until all sequences fit in half of what is left', () => {
    expect(chooseContext(shape, { ...wish, availableBytes: 8 * GiB })).toBe(2048)
    expect(chooseContext(shape, { ...wish, availableBytes: 8 * GiB, parallel: 1 })).toBe(8192)
  })

  test('asked for is given, or refused with the numbers', () => {
    expect(chooseContext(shape, { ...wish, contextTokens: 30_000, parallel: 1 })).toBe(30_000)
    expect(() => chooseContext(shape, { ...wish, contextTokens: 40_000 })).toThrow(/trained for 32768/)
    expect(() => chooseContext(shape, { ...wish, contextTokens: 32_768, availableBytes: 16 * GiB })).toThrow(
      /needs about 21\.\d GB .* 17\.2 GB of memory is free/,
    )
  })

  test('of a model whose weights alone do not fit is refused', () => {
    expect(() => chooseContext(shape, { ...wish, availableBytes: 3 * GiB })).toThrow(/weights 4\.29 GB/)
  })
})
