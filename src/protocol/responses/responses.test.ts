import fc from 'fast-check'
import { expect, test } from 'vitest'
import { nearlyRight, throwsOnlyHolonErrors, wildAnswer } from '../../../test/support/wild-json.ts'
import { checkTranslated } from '../translation.ts'
import { ResponsesTeller, readRequest } from './index.ts'

const nothing = { history: [], find: () => null }
const ask = (more: object = {}) => readRequest({ model: 'm', input: 'hi', ...more }, nothing)

test('a turn of thought, text and calls is one assistant message', () => {
  const call = (id: string) => ({ type: 'function_call', call_id: id, name: 'f', arguments: '{}' })
  const { body } = ask({
    input: [
      { role: 'user', content: 'go' },
      { type: 'reasoning', summary: [{ type: 'summary_text', text: 'hm' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'Looking.' }] },
      call('a'),
      call('b'),
      { type: 'function_call_output', call_id: 'a', output: [{ type: 'input_text', text: 'ok' }] },
      { type: 'function_call_output', call_id: 'b', output: 'ok' },
      call('c'),
    ],
  }).translated
  expect(body.messages).toMatchObject([
    { role: 'user', content: 'go' },
    {
      role: 'assistant',
      content: 'Looking.',
      reasoning_content: 'hm',
      tool_calls: [{ id: 'a' }, { id: 'b' }],
    },
    { role: 'tool', tool_call_id: 'a', content: 'ok' },
    { role: 'tool', tool_call_id: 'b' },
    { role: 'assistant', content: null, tool_calls: [{ id: 'c' }] },
  ])
})

test('a request, whatever it is, is translated or refused with a HolonError', () => {
  const part = nearlyRight({
    type: fc.constantFrom('input_text', 'output_text', 'refusal', 'input_image', 'input_file'),
    text: fc.string(),
    refusal: fc.string(),
    image_url: fc.webUrl(),
  })
  const content = fc.oneof(fc.string(), fc.array(part, { maxLength: 2 }))
  const item = nearlyRight({
    type: fc.constantFrom(
      'message',
      'reasoning',
      'function_call',
      'function_call_output',
      'item_reference',
      'other',
    ),
    role: fc.constantFrom('user', 'assistant', 'system', 'developer'),
    content,
    summary: fc.array(part, { maxLength: 2 }),
    call_id: fc.constant('a'),
    name: fc.constant('f'),
    arguments: fc.string(),
    output: content,
    id: fc.constant('x'),
  })
  const request = nearlyRight({
    model: fc.constant('m'),
    input: fc.oneof(fc.string(), fc.array(item, { minLength: 1, maxLength: 4 })),
    instructions: fc.string(),
    stream: fc.boolean(),
    store: fc.boolean(),
    max_output_tokens: fc.integer({ min: 1, max: 100 }),
    tools: fc.array(
      nearlyRight({ type: fc.constant('function'), name: fc.constant('f'), parameters: fc.object() }),
      {
        maxLength: 2,
      },
    ),
    tool_choice: fc.oneof(
      fc.constantFrom('none', 'auto', 'required'),
      nearlyRight({
        type: fc.constantFrom('function', 'allowed_tools'),
        name: fc.constant('f'),
        mode: fc.constantFrom('auto', 'required'),
        tools: fc.constant([{ type: 'function', name: 'f' }]),
      }),
    ),
    text: nearlyRight({
      format: nearlyRight({
        type: fc.constantFrom('text', 'json_object', 'json_schema'),
        schema: fc.object(),
      }),
      verbosity: fc.constantFrom('low', 'medium'),
    }),
    reasoning: nearlyRight({ effort: fc.constantFrom('low', 'high'), summary: fc.constant('auto') }),
    include: fc.constantFrom([], ['reasoning.encrypted_content']),
    metadata: fc.object(),
  })
  fc.assert(
    fc.property(request, (body) =>
      throwsOnlyHolonErrors(() => {
        const read = readRequest(body, nothing)
        checkTranslated(read.translated).bodyFor(new Set())
        JSON.stringify(new ResponsesTeller(read, 0, () => undefined).whole({ choices: [{ message: {} }] }))
      }),
    ),
    { numRuns: 2_000 },
  )
})

interface Told {
  type: string
  sequence_number: number
  output_index?: number
  item?: { id: string }
  response?: { output: { id: string }[] }
}

test('a stream adds and ends each item once, in order, and its last event holds them all, whatever the engine sends', () => {
  fc.assert(
    fc.property(fc.array(wildAnswer, { maxLength: 8 }), (pieces) => {
      let kept = 0
      const teller = new ResponsesTeller(ask(), 0, () => {
        kept++
      })
      throwsOnlyHolonErrors(() => {
        const text = pieces.map((piece) => teller.piece(piece)).join('') + teller.end()
        const events = text
          .split('\n\n')
          .filter((event) => event !== '')
          .map((event) => JSON.parse(event.slice(event.indexOf('\ndata: ') + 7)) as Told)
        expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
        const ids = (type: string) =>
          events
            .filter((event) => event.type === `response.output_item.${type}`)
            .map((event) => event.item?.id)
        expect(ids('done')).toEqual(ids('added'))
        expect(events.at(-1)?.response?.output.map((item) => item.id)).toEqual(ids('added'))
        expect(kept).toBe(1)
      })
    }),
    { numRuns: 1_000 },
  )
})
