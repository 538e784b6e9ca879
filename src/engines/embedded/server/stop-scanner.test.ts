import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { StopScanner } from './stop-scanner.ts'

/** The naive twin: looks at the whole text at once. */
function cutAtStop(text: string, stops: readonly string[]): string {
  const places = stops.map((stop) => text.indexOf(stop)).filter((at) => at >= 0)
  return places.length > 0 ? text.slice(0, Math.min(...places)) : text
}

describe('a stop scanner', () => {
  test('lets out the text before the earliest stop string, however the text is cut', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 30 })
    const stop = fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(letters, fc.array(stop, { maxLength: 3 }), (text, stops) => {
        const scanner = new StopScanner(stops)
        let out = ''
        let stopped = false
        for (const letter of text) {
          const next = scanner.push(letter)
          out += next.text
          stopped = next.stopped
          // What is out can never be taken back: no part of a stop string that is still possible may be among it.
          if (stopped) break
        }
        if (!stopped) out += scanner.flush()
        // Letter by letter the first stop to be complete wins; of those that end together the earliest to begin.
        const ends = [...text].map((_, index) => text.slice(0, index + 1))
        const complete = ends.find((part) => stops.some((each) => part.endsWith(each)))
        expect(out).toBe(complete === undefined ? text : cutAtStop(complete, stops))
      }),
    )
  })

  test('holds back nothing that cannot become a stop string', () => {
    const scanner = new StopScanner(['END'])
    expect(scanner.push('one E')).toEqual({ text: 'one ', stopped: false })
    expect(scanner.push('x')).toEqual({ text: 'Ex', stopped: false })
    expect(scanner.push('EN')).toEqual({ text: '', stopped: false })
    expect(scanner.flush()).toBe('EN')
  })
})
