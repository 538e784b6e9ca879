import { describe, expect, test } from 'vitest'
import { parseAsk } from './ask.ts'

describe('what a caller asks for', () => {
  test('is a name, with a condition behind an @', () => {
    expect(parseAsk('qwen2.5-7b-instruct')).toMatchObject({
      name: 'qwen2.5-7b-instruct',
      floor: null,
      quant: null,
    })
    for (const text of ['m@>=q4', 'm@>= Q4', 'm@q4+', 'm@>=4bit']) expect(parseAsk(text).floor?.bits).toBe(4)
    expect(parseAsk('m@q4_k_m').quant?.label).toBe('Q4_K_M')
    expect(parseAsk('m@exact:gguf-00aaFF').weightsId).toBe('gguf-00aaff')
  })

  test('is refused with the forms there are when the condition is none', () => {
    for (const text of ['m@', 'm@best', 'm@>=', 'm@exact:', 'm@>=good', 'm@exact:a b']) {
      expect(() => parseAsk(text)).toThrow(
        expect.objectContaining({ code: 'invalid_parameter', hint: expect.stringContaining('@>=q4') }),
      )
    }
  })

  test('may be an Ollama name without its tag', () => {
    expect(parseAsk('llama3.1').meanings.map(({ canonical }) => canonical)).toContain('llama-3.1-8b-instruct')
  })
})
