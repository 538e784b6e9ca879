/** Requests that are nearly right: the known fields of a dialect with values of every kind, right ones among them. */
import fc from 'fast-check'
import { expect } from 'vitest'
import { HolonError } from '../../src/core/errors.ts'

/** @param fields names to values that are right; a record of them is made wrong in some places */
export function nearlyRight(fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<unknown> {
  const wild = Object.fromEntries(
    Object.entries(fields).map(([name, right]) => [
      name,
      fc.oneof({ weight: 6, arbitrary: right }, { weight: 1, arbitrary: fc.jsonValue() }),
    ]),
  )
  return fc.oneof(
    { weight: 8, arbitrary: fc.record(wild, { requiredKeys: [] }) },
    { weight: 1, arbitrary: fc.jsonValue() },
  )
}

/** Fails unless `act` returns or throws a HolonError that is not `internal`. */
export function throwsOnlyHolonErrors(act: () => unknown): void {
  try {
    act()
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(HolonError)
    expect((thrown as HolonError).code).not.toBe('internal')
  }
}

const piece = nearlyRight({
  content: fc.string(),
  reasoning_content: fc.string(),
  refusal: fc.string(),
  tool_calls: fc.array(
    nearlyRight({
      index: fc.nat(3),
      id: fc.string(),
      function: nearlyRight({ name: fc.string(), arguments: fc.oneof(fc.string(), fc.json()) }),
    }),
    { maxLength: 3 },
  ),
})
const usage = nearlyRight({
  prompt_tokens: fc.nat(),
  completion_tokens: fc.nat(),
  prompt_tokens_details: nearlyRight({ cached_tokens: fc.nat() }),
})
const finish = fc.constantFrom(null, 'stop', 'length', 'tool_calls', 'content_filter', 'alien')

/** What engines send, and what broken ones do. */
export const wildAnswer = nearlyRight({
  choices: fc.array(nearlyRight({ message: piece, delta: piece, text: fc.string(), finish_reason: finish }), {
    maxLength: 2,
  }),
  usage,
  timings: nearlyRight({ prompt_n: fc.nat(), prompt_ms: fc.double(), predicted_ms: fc.double() }),
})
