import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import { chatParameters, completionParameters, embeddingParameters } from './parameter-table.ts'
import { checkRequest, type Endpoint, requireHonoured } from './request.ts'

const names = [
  ...new Set([
    ...chatParameters.keys(),
    ...completionParameters.keys(),
    ...embeddingParameters.keys(),
    'bogus',
  ]),
]
const endpoint = fc.constantFrom<Endpoint>('chat', 'completion', 'embedding')
const wild = fc.oneof(
  fc.jsonValue({ maxDepth: 5 }),
  fc.constantFrom(-1, 0, 1e308, Number.MAX_SAFE_INTEGER, '', 'auto'),
)

/** Bodies near the real ones: the right names with any values, on top of a body that is right. */
const nearBody = fc
  .dictionary(fc.constantFrom(...names), wild, { maxKeys: 8 })
  .map((more) => ({ model: 'm', messages: [{ role: 'user', content: 'x' }], ...more }))
const partOfMessage = fc.record(
  { role: fc.constantFrom('user', 'assistant', 'tool', 'x'), content: wild, tool_calls: wild, name: wild },
  { requiredKeys: [] },
)

function throwsOnlyHolonErrors(which: Endpoint, body: unknown): void {
  try {
    const request = checkRequest(which, body)
    expect(typeof request.model).toBe('string')
    requireHonoured(request, new Set(), 'engine')
  } catch (error) {
    expect(error).toBeInstanceOf(HolonError)
    expect((error as HolonError).status).toBe(400)
    expect((error as HolonError).message.length).toBeLessThan(500)
  }
}

describe('checking a request', () => {
  test('throws nothing but HolonErrors with status 400, whatever the body', () => {
    fc.assert(fc.property(endpoint, wild, throwsOnlyHolonErrors), { numRuns: 300 })
    fc.assert(fc.property(endpoint, nearBody, throwsOnlyHolonErrors), { numRuns: 2000 })
    const messages = fc.array(partOfMessage, { maxLength: 4 }).map((list) => ({ model: 'm', messages: list }))
    fc.assert(
      fc.property(messages, (body) => throwsOnlyHolonErrors('chat', body)),
      { numRuns: 1000 },
    )
    const tools = fc.record({ tools: wild, tool_choice: wild, response_format: wild, functions: wild })
    fc.assert(
      fc.property(tools, (more) =>
        throwsOnlyHolonErrors('chat', { model: 'm', messages: [{ role: 'user', content: 'x' }], ...more }),
      ),
      { numRuns: 1000 },
    )
  })

  test('tells what is asked of the engine, and leaves out what asks for nothing', () => {
    const request = checkRequest('chat', {
      model: 'm',
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'data:,' } }] }],
      temperature: 0.2,
      n: 1,
      presence_penalty: 0,
      user: 'me',
      top_p: null,
      stream: true,
      stream_options: { include_usage: false },
    })
    expect(request).toMatchObject({
      model: 'm',
      stream: true,
      n: 1,
      asked: ['temperature'],
      media: ['image_url'],
    })
  })

  test('refuses by name what the engine would ignore', () => {
    const request = checkRequest('chat', {
      model: 'm',
      messages: [{ role: 'user', content: 'x' }],
      logprobs: true,
    })
    expect(() => requireHonoured(request, new Set(['logprobs']), 'e')).not.toThrow()
    expect(() => requireHonoured(request, new Set(), 'e')).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'logprobs' }),
    )
  })

  test('takes the forms a prompt and an input may have', () => {
    for (const prompt of ['', 'a', ['a', 'b'], [1, 2], [[1], [2, 3]]]) {
      expect(checkRequest('completion', { model: 'm', prompt }).model).toBe('m')
    }
    for (const input of ['', [], [''], [1.5], [[]], [null], {}, 5]) {
      expect(() => checkRequest('embedding', { model: 'm', input })).toThrow(HolonError)
    }
  })
})
