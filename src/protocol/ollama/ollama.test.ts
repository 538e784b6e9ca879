import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nearlyRight, throwsOnlyHolonErrors, wildAnswer } from '../../../test/support/wild-json.ts'
import { checkTranslated } from '../translation.ts'
import { OllamaTeller, readChat, readEmbed, readEmbeddings, readGenerate } from './index.ts'
import { readKeepAlive } from './keep-alive.ts'

test.each([
  [undefined, undefined],
  ['', undefined],
  [0, 0],
  ['0', 0],
  ['0s', 0],
  [300, 300_000],
  ['5m', 300_000],
  ['1h30m', 5_400_000],
  ['1.5s', 1_500],
  [-1, Number.POSITIVE_INFINITY],
  ['-1m', Number.POSITIVE_INFINITY],
])('keep_alive %j is %s ms', (value, ms) => expect(readKeepAlive(value)).toBe(ms))

test.each(['long', '5', '5 m', '5mm', 'm', {}, [], true, Number.NaN])('keep_alive %j', (value) => {
  if (value === '5') expect(readKeepAlive(value)).toBe(5_000)
  else expect(() => readKeepAlive(value)).toThrow('keep_alive must be')
})

const options = nearlyRight({
  temperature: fc.double({ min: 0, max: 2, noNaN: true }),
  num_predict: fc.integer({ min: -2, max: 100 }),
  num_ctx: fc.integer({ min: 1, max: 100_000 }),
  seed: fc.integer(),
  stop: fc.oneof(fc.constant('x'), fc.constant(['x', 'y'])),
  num_gpu: fc.nat(),
  use_mmap: fc.boolean(),
  num_keep: fc.constantFrom(0, 4, 5),
})
const message = nearlyRight({
  role: fc.constantFrom('system', 'user', 'assistant', 'tool'),
  content: fc.string(),
  images: fc.array(fc.constantFrom('/9j/x', 'iVBORx'), { maxLength: 2 }),
  tool_calls: fc.array(
    nearlyRight({ function: nearlyRight({ name: fc.constant('f'), arguments: fc.object() }) }),
    {
      maxLength: 2,
    },
  ),
  tool_name: fc.constant('f'),
  thinking: fc.string(),
})
const shared = {
  model: fc.constant('m'),
  stream: fc.boolean(),
  options,
  keep_alive: fc.constantFrom('5m', 0, -1),
  format: fc.constantFrom('json', '', { type: 'object' }),
  think: fc.constantFrom(true, false, 'low'),
}

describe('whatever the request is, it is translated or refused with a HolonError', () => {
  test.each([
    [
      'chat',
      readChat,
      nearlyRight({
        ...shared,
        messages: fc.array(message, { maxLength: 4 }),
        tools: fc.array(
          nearlyRight({ function: nearlyRight({ name: fc.constant('f'), parameters: fc.object() }) }),
          {
            maxLength: 2,
          },
        ),
      }),
    ],
    [
      'generate',
      readGenerate,
      nearlyRight({
        ...shared,
        prompt: fc.string(),
        system: fc.string(),
        suffix: fc.string(),
        raw: fc.boolean(),
        images: fc.array(fc.constant('/9j/x')),
      }),
    ],
    ['embed', readEmbed, nearlyRight({ ...shared, input: fc.oneof(fc.string(), fc.array(fc.string())) })],
    ['embeddings', readEmbeddings, nearlyRight({ model: fc.constant('m'), prompt: fc.string() })],
  ] as const)('%s', (_, read, request) => {
    fc.assert(
      fc.property(request, (body) =>
        throwsOnlyHolonErrors(() => {
          const { translated } = read(body)
          if (translated !== null) checkTranslated(translated).bodyFor(new Set())
        }),
      ),
      { numRuns: 1_000 },
    )
  })
})

describe('an answer', () => {
  const times = { startedAt: 0, now: () => 5, wall: () => 0 }
  const teller = () =>
    new OllamaTeller(readChat({ model: 'm', messages: [{ role: 'user', content: 'x' }] }), times)

  test('is told as lines of JSON of which only the last is done, whatever the engine sends', () => {
    fc.assert(
      fc.property(fc.array(wildAnswer, { maxLength: 8 }), (pieces) => {
        const told = teller()
        throwsOnlyHolonErrors(() => {
          const text = pieces.map((piece) => told.piece(piece)).join('') + told.end()
          const lines = text
            .trimEnd()
            .split('\n')
            .map((line) => JSON.parse(line) as { done: boolean })
          expect(lines.map((line) => line.done)).toEqual([...lines.slice(1).map(() => false), true])
        })
      }),
      { numRuns: 1_000 },
    )
  })

  test('that is whole is told or refused with a HolonError, whatever it is', () => {
    fc.assert(
      fc.property(wildAnswer, (answer) =>
        throwsOnlyHolonErrors(() => JSON.stringify(teller().whole(answer))),
      ),
      { numRuns: 1_000 },
    )
  })
})
