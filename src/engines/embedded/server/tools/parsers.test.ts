import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Delta, OutputParser } from './output-parser.ts'
import { parserFor, styleOf, type ToolStyle } from './styles.ts'

interface Read {
  content: string
  calls: { name: string; arguments: string }[]
}

function collect(parser: OutputParser, pieces: readonly string[]): Read {
  const read: Read = { content: '', calls: [] }
  const take = (deltas: Delta[]): void => {
    for (const delta of deltas) {
      read.content += delta.content ?? ''
      for (const call of delta.tool_calls ?? []) {
        const known = read.calls[call.index]
        if (known) known.arguments += call.function.arguments ?? ''
        else
          read.calls[call.index] = {
            name: call.function.name ?? '',
            arguments: call.function.arguments ?? '',
          }
      }
    }
  }
  for (const piece of pieces) take(parser.push(piece))
  take(parser.end())
  return read
}

const args = '{"a": {"b": "}]\\"{"}, "c": [1, 2]}'
const call = { name: 'f', arguments: args }
const tagged =
  '<tool_call>\n<function=f>\n<parameter=n>\n3\n</parameter>\n<parameter=s>\n5\n</parameter>\n</function>\n</tool_call>'
const tools = [{ name: 'f', parameters: { properties: { s: { type: 'string' } } }, original: {} }]

const cases: [string, ToolStyle, string, Read][] = [
  ['plain text', 'hermes', 'Just <b>text</b>, 1 < 2.', { content: 'Just <b>text</b>, 1 < 2.', calls: [] }],
  [
    'a Hermes call',
    'hermes',
    `<tool_call>\n{"name": "f", "arguments": ${args}}\n</tool_call>`,
    { content: '', calls: [call] },
  ],
  [
    'text before a call',
    'hermes',
    `Let me see.\n\n<tool_call>{"name":"f","arguments":${args}}</tool_call>`,
    { content: 'Let me see.', calls: [call] },
  ],
  [
    'two calls',
    'hermes',
    `<tool_call>{"name":"f","arguments":${args}}</tool_call>\n<tool_call>{"name":"g","arguments":{}}</tool_call>`,
    { content: '', calls: [call, { name: 'g', arguments: '{}' }] },
  ],
  [
    'a call whose end was forgotten',
    'hermes',
    `<tool_call>{"name":"f","arguments":${args}}`,
    { content: '', calls: [call] },
  ],
  [
    'arguments before the name',
    'hermes',
    `<tool_call>{"arguments": ${args}, "name": "f"}</tool_call>`,
    { content: '', calls: [call] },
  ],
  [
    'arguments as JSON text',
    'hermes',
    '<tool_call>{"name":"f","arguments":"{\\"a\\":1}"}</tool_call>',
    { content: '', calls: [{ name: 'f', arguments: '{"a":1}' }] },
  ],
  [
    'a mark without a call',
    'hermes',
    '<tool_call>{"no": "name"}</tool_call> after',
    { content: '<tool_call>{"no": "name"} after', calls: [] },
  ],
  ['a call cut in its name', 'hermes', 'x <tool_call>{"na', { content: 'x <tool_call>{"na', calls: [] }],
  [
    'a call cut in its arguments',
    'hermes',
    '<tool_call>{"name": "f", "arguments": {"a": 1',
    { content: '', calls: [{ name: 'f', arguments: '{"a": 1' }] },
  ],
  [
    'tags inside the mark',
    'hermes',
    tagged,
    { content: '', calls: [{ name: 'f', arguments: '{"n":3,"s":"5"}' }] },
  ],
  [
    'a Mistral list',
    'mistral',
    `[TOOL_CALLS][{"name":"f","arguments":${args}}, {"name":"g","arguments":{}}]`,
    { content: '', calls: [call, { name: 'g', arguments: '{}' }] },
  ],
  [
    'named Mistral calls',
    'mistral-named',
    `[TOOL_CALLS]f[ARGS]${args}[TOOL_CALLS]g[ARGS]{}`,
    { content: '', calls: [call, { name: 'g', arguments: '{}' }] },
  ],
  ['a Llama call', 'llama3', `{"name": "f", "parameters": ${args}}`, { content: '', calls: [call] }],
  [
    'a Llama call after its tag',
    'llama3',
    `<|python_tag|>{"name": "f", "parameters": ${args}}`,
    { content: '', calls: [call] },
  ],
  [
    'two Llama calls',
    'llama3',
    '{"name":"f","parameters":{}}; {"name":"g","parameters":{}}',
    {
      content: '',
      calls: [
        { name: 'f', arguments: '{}' },
        { name: 'g', arguments: '{}' },
      ],
    },
  ],
  ['Llama text', 'llama3', 'It is {"sunny": true}.', { content: 'It is {"sunny": true}.', calls: [] }],
  ['Llama JSON that calls nothing', 'llama3', '{"sunny": true}', { content: '{"sunny": true}', calls: [] }],
]

describe.each(cases)('%s', (_, style, text, expected) => {
  test('is read the same however the text is cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: text.length }), { maxLength: 12 }), (cuts) => {
        const places = [...new Set([0, ...cuts, text.length])].sort((a, b) => a - b)
        const pieces = places.slice(1).map((end, index) => text.slice(places[index], end))
        expect(collect(parserFor(style, tools), pieces)).toEqual(expected)
      }),
    )
    expect(collect(parserFor(style, tools), [...text])).toEqual(expected)
  })
})

describe('a parser', () => {
  test('never throws and never loses text that is no call', () => {
    fc.assert(
      fc.property(
        fc.constantFrom<ToolStyle>('hermes', 'mistral', 'mistral-named', 'llama3'),
        fc.array(
          fc.oneof(
            fc.string(),
            fc.constantFrom('<tool_call>', '</tool_call>', '[TOOL_CALLS]', '{', '}', '"', '[ARGS]', ','),
          ),
        ),
        (style, pieces) => {
          const read = collect(parserFor(style, tools), pieces)
          const text = pieces.join('')
          if (!text.includes('<tool_call>') && !text.includes('[TOOL_CALLS]') && style !== 'llama3') {
            expect(read.content.trim()).toBe(text.trim())
          }
        },
      ),
    )
  })

  test('sends arguments on before the call is complete', () => {
    const parser = parserFor('hermes', tools)
    parser.push('<tool_call>{"name": "f", "arguments": {"text": "one')
    const deltas = parser.push(' two')
    expect(deltas).toEqual([{ tool_calls: [{ index: 0, function: { arguments: ' two' } }] }])
    expect(parser.callEnded).toBe(false)
    parser.push('"}}')
    expect(parser.callEnded).toBe(true)
  })
})

test('the style of tool calls is read off the template', () => {
  expect(styleOf('... <tool_call> ...')).toBe('hermes')
  expect(styleOf('... [TOOL_CALLS] ...')).toBe('mistral')
  expect(styleOf('... [TOOL_CALLS] ... [ARGS] ...')).toBe('mistral-named')
  expect(styleOf('... <|python_tag|> ...')).toBe('llama3')
  expect(styleOf('nothing')).toBe('hermes')
})
