import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { EventCut } from './event-cut.ts'

/** The naive twin: all that came so far, up to the last blank line. */
function naive(text: string): string {
  const ends = [...text.matchAll(/\n\r?\n/g)].map((match) => match.index + match[0].length)
  return text.slice(0, ends.at(-1) ?? 0)
}

const piece = fc.constantFrom('data: {"a":1}', '\n', '\n\n', '\r\n', '\r\n\r\n', ': comment', 'x', '\r')

describe('cutting a stream at its events', () => {
  test('passes the same bytes as its naive twin after every chunk, however they are cut', () => {
    fc.assert(
      fc.property(fc.array(fc.array(piece, { minLength: 1, maxLength: 6 }), { maxLength: 12 }), (chunks) => {
        const cut = new EventCut()
        let came = ''
        let passed = ''
        for (const pieces of chunks) {
          const text = pieces.join('')
          came += text
          passed += cut.push(Buffer.from(text))?.toString() ?? ''
          // `\n\n\n` holds two overlapping boundaries; the last one counts, as it does for the cut.
          expect(passed.length).toBeGreaterThanOrEqual(naive(came).length)
          expect(came.startsWith(passed)).toBe(true)
          expect(passed === '' || /\n\r?\n$/.test(passed)).toBe(true)
          expect(cut.unfinished).toBe(passed.length < came.length)
        }
      }),
    )
  })

  test('hands a chunk that ends with an event on as it is', () => {
    const chunk = Buffer.from('data: 1\n\n')
    expect(new EventCut().push(chunk)).toBe(chunk)
  })

  test('holds at most about a megabyte of an event without end', () => {
    const cut = new EventCut()
    const chunk = Buffer.alloc(300 * 1024, 0x78)
    const passed = Array.from({ length: 8 }, () => cut.push(chunk)?.length ?? 0)
    expect(passed.reduce((sum, length) => sum + length)).toBeGreaterThan(1024 * 1024)
  })
})
