import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { nearlyRight, throwsOnlyHolonErrors, wildAnswer } from '../../../test/support/wild-json.ts'
import { checkTranslated } from '../translation.ts'
import { type AnthropicRequest, AnthropicTeller, readRequest } from './index.ts'

const ask = { model: 'm', max_tokens: 5, messages: [{ role: 'user', content: 'hi' }] }
const chunk = (delta: object, finish: string | null = null) => ({
  choices: [{ delta, finish_reason: finish }],
})
const call = (index: number, text: string, name = '') => ({
  tool_calls: [{ index, id: name && `id_${name}`, function: { name, arguments: text } }],
})

describe('a request', () => {
  test('joins turns of one speaker, as Anthropic documents', () => {
    const { body } = readRequest({
      ...ask,
      messages: [
        { role: 'user', content: 'one' },
        { role: 'user', content: [{ type: 'text', text: 'two' }] },
        { role: 'assistant', content: [{ type: 'thinking', thinking: 'hm', signature: '' }] },
        { role: 'assistant', content: 'three' },
      ],
    }).translated
    expect(body.messages).toEqual([
      { role: 'user', content: 'one\ntwo' },
      { role: 'assistant', content: '\nthree', reasoning_content: 'hm' },
    ])
  })

  test('sends wishes only to engines that know them', () => {
    const { translated } = readRequest({
      ...ask,
      stream: true,
      thinking: { type: 'enabled', budget_tokens: 1024 },
    })
    const { bodyFor, request } = checkTranslated(translated)
    expect(request.asked).toEqual(['max_tokens'])
    const sent = (honoured: string[]) => JSON.parse(bodyFor(new Set(honoured)).toString()) as object
    expect(sent([])).toEqual({ ...ask, stream: true })
    expect(sent(['stream_options', 'thinking_budget_tokens'])).toMatchObject({
      stream_options: { include_usage: true },
      thinking_budget_tokens: 1024,
    })
  })

  test('lets plain documents in and refuses those nobody here can read', () => {
    const withSource = (source: object) => ({
      ...ask,
      messages: [{ role: 'user', content: [{ type: 'document', title: 'Notes', source }] }],
    })
    const text = { type: 'text', media_type: 'text/plain', data: 'All is well.' }
    expect(readRequest(withSource(text)).translated.body.messages).toEqual([
      { role: 'user', content: 'Notes\nAll is well.' },
    ])
    expect(() =>
      readRequest(withSource({ type: 'base64', media_type: 'application/pdf', data: 'x' })),
    ).toThrow('messages[0].content[0].source.type "base64" cannot be read here')
  })

  test('asks for JSON of a schema', () => {
    const format = { type: 'json_schema', schema: { type: 'object' } }
    const { body } = readRequest({ ...ask, output_config: { format } }).translated
    expect(body.response_format).toEqual({
      type: 'json_schema',
      json_schema: { name: 'answer', schema: { type: 'object' } },
    })
  })

  test('whatever it is, is translated or refused with a HolonError', () => {
    const block = nearlyRight({
      type: fc.constantFrom('text', 'image', 'tool_use', 'tool_result', 'thinking', 'document', 'video'),
      text: fc.string(),
      thinking: fc.string(),
      id: fc.string({ minLength: 1 }),
      name: fc.constant('weather'),
      input: fc.object(),
      tool_use_id: fc.string({ minLength: 1 }),
      content: fc.oneof(fc.string(), fc.array(fc.constant({ type: 'text', text: 'x' }))),
      is_error: fc.boolean(),
      source: nearlyRight({
        type: fc.constantFrom('base64', 'url', 'text', 'content'),
        media_type: fc.constant('image/png'),
        data: fc.string({ minLength: 1 }),
        url: fc.webUrl(),
        content: fc.string(),
      }),
    })
    const request = nearlyRight({
      model: fc.constant('m'),
      max_tokens: fc.integer({ min: 1, max: 100 }),
      messages: fc.array(
        nearlyRight({
          role: fc.constantFrom('user', 'assistant', 'system'),
          content: fc.oneof(fc.string(), fc.array(block, { maxLength: 3 })),
        }),
        { minLength: 1, maxLength: 4 },
      ),
      system: fc.oneof(fc.string(), fc.array(fc.constant({ type: 'text', text: 'x' }))),
      stop_sequences: fc.array(fc.string({ minLength: 1 })),
      tools: fc.array(nearlyRight({ name: fc.constant('weather'), input_schema: fc.object() }), {
        maxLength: 2,
      }),
      tool_choice: nearlyRight({
        type: fc.constantFrom('auto', 'any', 'tool', 'none'),
        name: fc.constant('weather'),
        disable_parallel_tool_use: fc.boolean(),
      }),
      thinking: nearlyRight({
        type: fc.constantFrom('enabled', 'disabled', 'adaptive'),
        budget_tokens: fc.nat(),
      }),
      output_config: nearlyRight({ effort: fc.constantFrom('low', 'max') }),
    })
    fc.assert(
      fc.property(request, (body) =>
        throwsOnlyHolonErrors(() => checkTranslated(readRequest(body).translated).bodyFor(new Set())),
      ),
      { numRuns: 2_000 },
    )
  })
})

/** Every event of a told stream, as clients parse them. */
function eventsOf(told: string): { type: string; [name: string]: unknown }[] {
  return told
    .split('\n\n')
    .filter((event) => event !== '')
    .map((event) => JSON.parse(event.slice(event.indexOf('\ndata: ') + 7)))
}

describe('a stream', () => {
  const teller = (change: object = {}) => new AnthropicTeller(readRequest({ ...ask, ...change }), 'req_1')

  test('that holds nothing is still a whole message', () => {
    expect(eventsOf(teller().end()).map((event) => event.type)).toEqual([
      'message_start',
      'ping',
      'message_delta',
      'message_stop',
    ])
  })

  test('refuses calls whose pieces are mixed, which no client could put together', () => {
    const told = teller()
    told.piece(chunk(call(0, '{', 'a')))
    told.piece(chunk(call(1, '{', 'b')))
    expect(() => told.piece(chunk(call(0, '}')))).toThrow('goes on after it was closed')
  })

  test('opens and closes each block once, in order, whatever the engine sends', () => {
    fc.assert(
      fc.property(fc.array(wildAnswer, { maxLength: 8 }), (pieces) => {
        const told = teller()
        let text = ''
        throwsOnlyHolonErrors(() => {
          for (const piece of pieces) text += told.piece(piece)
          text += told.end()
        })
        let open: unknown = null
        let next = 0
        for (const event of eventsOf(text)) {
          if (event.type === 'content_block_start') {
            expect([open, event.index]).toEqual([null, next])
            open = event.index
          } else if (event.type === 'content_block_delta') expect(event.index).toBe(open)
          else if (event.type === 'content_block_stop') {
            expect(event.index).toBe(open)
            open = null
            next++
          } else if (event.type === 'message_stop') expect(open).toBeNull()
        }
      }),
      { numRuns: 1_000 },
    )
  })
})

test('a whole answer, whatever it is, is told or refused with a HolonError', () => {
  const asked: AnthropicRequest = readRequest(ask)
  fc.assert(
    fc.property(wildAnswer, (answer) =>
      throwsOnlyHolonErrors(() => JSON.stringify(new AnthropicTeller(asked, 'req_1').whole(answer))),
    ),
    { numRuns: 1_000 },
  )
})

test('a call cut by max_tokens is given as far as it got, and not called whole', () => {
  const answer = {
    choices: [
      {
        message: { tool_calls: [{ id: 'a', function: { name: 'f', arguments: '{"ci' } }] },
        finish_reason: 'length',
      },
    ],
  }
  expect(new AnthropicTeller(readRequest(ask), 'r').whole(answer)).toMatchObject({
    stop_reason: 'max_tokens',
    content: [{ type: 'tool_use', input: { invalid_json: '{"ci' } }],
  })
})
