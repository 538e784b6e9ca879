import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { plainText } from './output-parser.ts'
import { ReasoningParser } from './reasoning-parser.ts'

function read(pieces: readonly string[], prompt = ''): { thinking: string; content: string } {
  const parser = new ReasoningParser(plainText, prompt)
  const deltas = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]
  return {
    thinking: deltas.map((delta) => delta.reasoning_content ?? '').join(''),
    content: deltas.map((delta) => delta.content ?? '').join(''),
  }
}

describe.each<[string, string, string, { thinking: string; content: string }]>([
  ['plain text', '', 'Hello <b>', { thinking: '', content: 'Hello <b>' }],
  [
    'thinking, then an answer',
    '',
    '<think>\none two\n</think>\n\nHello',
    { thinking: '\none two', content: 'Hello' },
  ],
  [
    'thinking opened by the prompt',
    'x<think>\n',
    'one < two</think>Hello',
    { thinking: 'one < two', content: 'Hello' },
  ],
  ['thinking cut short', '', '<think>one two', { thinking: 'one two', content: '' }],
  ['thinking disabled in the prompt', '<think>\n\n</think>\n\n', 'Hello', { thinking: '', content: 'Hello' }],
  ['an answer that is the beginning of a mark', '', '<thi', { thinking: '', content: '<thi' }],
  ['a mark in the middle of an answer', '', 'a <think> b', { thinking: '', content: 'a <think> b' }],
])('%s', (_, prompt, text, expected) => {
  test('is told apart however the text is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: text.length }), { maxLength: 8 }), (cuts) => {
        const places = [...new Set([0, ...cuts, text.length])].sort((a, b) => a - b)
        expect(
          read(
            places.slice(1).map((end, index) => text.slice(places[index], end)),
            prompt,
          ),
        ).toEqual(expected)
      }),
    )
  })
})
