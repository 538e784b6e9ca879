import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding } from '../../src/bench/random-gguf.ts'
import { startTiny, type TestEngine, type ToolCall } from './embedded-engine.ts'

const chat = '/v1/chat/completions'
const weather = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'The weather in a place',
    parameters: {
      type: 'object',
      properties: { place: { enum: ['Berlin', 'Paris'] }, days: { type: 'integer', minimum: 1, maximum: 9 } },
      required: ['place', 'days'],
    },
  },
}
const clock = {
  type: 'function',
  function: {
    name: 'clock',
    parameters: { type: 'object', properties: { zone: { enum: ['UTC', 'CET'] } }, required: ['zone'] },
  },
}
const ask = {
  messages: [{ role: 'user', content: 'Weather?' }],
  tools: [weather, clock],
  // More than any text that the grammars allow.
  max_tokens: 1500,
  temperature: 1,
  seed: 5,
}

const hermesTemplate = `{%- if tools %}<tools>{% for tool in tools %}{{ tool | tojson }}{% endfor %}</tools> use <tool_call>{% endif -%}
{%- for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}{% for call in message.tool_calls or [] %}<tool_call>{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}</tool_call>{% endfor %}<|im_end|>
{% endfor %}<|im_start|>assistant
`
const mistralTemplate = `{%- if tools %}[AVAILABLE_TOOLS]{{ tools | tojson }}{% endif -%}{%- for message in messages %}[INST]{{ message.content }}[/INST]{% endfor %}{# [TOOL_CALLS] #}`
const llamaTemplate = `{%- if tools %}{{ tools | tojson }} Respond in the format {"name": function name, "parameters": dictionary}{% endif -%}{%- for message in messages %}{{ message.content }}{% endfor %}`

describe.each<[string, string, string[]]>([
  ['Hermes', hermesTemplate, ['<tool_call>', '</tool_call>']],
  ['Mistral', mistralTemplate, ['[TOOL_CALLS]']],
  ['Mistral with named calls', `${mistralTemplate}{# [ARGS] #}`, ['[TOOL_CALLS]', '[ARGS]']],
  ['Llama 3', llamaTemplate, []],
  [
    'a template without tools',
    "{% for m in messages %}{{ m.role + ': ' + m.content + '\\n' }}{% endfor %}",
    [],
  ],
])('tools in the style of %s', (_, chatTemplate, markers) => {
  let engine: TestEngine
  beforeAll(async () => {
    engine = await startTiny({ chatTemplate, markers, context: 2048 })
  })
  afterAll(() => engine.close())

  test('a named tool is called once, with arguments that fit its schema', async () => {
    const answer = await engine.ask(chat, {
      ...ask,
      tool_choice: { type: 'function', function: { name: 'get_weather' } },
    })
    const [choice] = answer.choices
    expect(choice?.finish_reason).toBe('tool_calls')
    expect(choice?.message.content).toBeNull()
    expect(choice?.message.tool_calls).toHaveLength(1)
    const call = choice?.message.tool_calls?.[0]
    expect(call).toMatchObject({ type: 'function', function: { name: 'get_weather' } })
    expect(call?.id).toMatch(/^call_/)
    const { place, days } = JSON.parse(call?.function.arguments ?? '') as { place: string; days: number }
    expect(['Berlin', 'Paris']).toContain(place)
    expect(days).toBeGreaterThanOrEqual(1)
    expect(days).toBeLessThanOrEqual(9)
  })

  test('required calls some tool, and its stream adds up to the same call', async () => {
    const request = { ...ask, tool_choice: 'required', parallel_tool_calls: false }
    const whole = await engine.ask(chat, request)
    const chunks = await engine.stream(chat, request)
    const deltas = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? [])
    const [first, ...more] = deltas as [ToolCall, ...ToolCall[]]
    expect(first).toMatchObject({ index: 0, type: 'function', function: { arguments: '' } })
    expect(more.length).toBeGreaterThan(1)
    expect(more.every((delta) => delta.index === 0 && delta.id === undefined)).toBe(true)
    const expected = whole.choices[0]?.message.tool_calls?.[0]?.function
    expect(first.function.name).toBe(expected?.name)
    expect(more.map((delta) => delta.function.arguments).join('')).toBe(expected?.arguments)
    expect(['get_weather', 'clock']).toContain(expected?.name)
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe('')
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls')
  })

  test('the tools are in the prompt, and none of them under tool_choice none', async () => {
    const { prompt } = await engine.ask<{ prompt: string }>('/apply-template', ask)
    expect(prompt).toContain('get_weather')
    const without = await engine.ask<{ prompt: string }>('/apply-template', { ...ask, tool_choice: 'none' })
    expect(without.prompt).not.toContain('get_weather')
  })

  test('a conversation with a call and its result can be read', async () => {
    const call = { id: 'call_1', type: 'function', function: { name: 'clock', arguments: '{"zone":"UTC"}' } }
    const messages = [
      ...ask.messages,
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: 'call_1', content: '12:00' },
    ]
    const answer = await engine.ask(chat, { ...ask, messages, max_tokens: 2, ...neverEnding({ markers }) })
    expect(answer.usage.completion_tokens).toBe(2)
    const { prompt } = await engine.ask<{ prompt: string }>('/apply-template', { ...ask, messages })
    expect(prompt).toContain('12:00')
  })
})

describe('response_format', () => {
  let engine: TestEngine
  beforeAll(async () => {
    engine = await startTiny({ context: 2048 })
  })
  afterAll(() => engine.close())
  const messages = ask.messages

  test('json_schema gives JSON that fits, integers plain, whatever a random model wants', async () => {
    const schema = {
      type: 'object',
      properties: {
        count: { type: 'integer' },
        kind: { enum: ['x', 'y'] },
        list: { type: 'array', items: { type: 'boolean' }, maxItems: 4 },
      },
      required: ['count', 'kind', 'list'],
    }
    for (const seed of [1, 2, 3, 4, 5]) {
      const answer = await engine.ask(chat, {
        messages,
        seed,
        temperature: 1,
        max_tokens: 1500,
        response_format: { type: 'json_schema', json_schema: { name: 'thing', strict: true, schema } },
      })
      const text = answer.choices[0]?.message.content ?? ''
      expect(answer.choices[0]?.finish_reason).toBe('stop')
      const value = JSON.parse(text) as { count: number; kind: string; list: boolean[] }
      expect(text).toMatch(/"count"\s*:\s*-?\d+\s*,/)
      expect(Number.isInteger(value.count)).toBe(true)
      expect(['x', 'y']).toContain(value.kind)
      expect(value.list.every((entry) => typeof entry === 'boolean')).toBe(true)
    }
  })

  test('json_object gives an object', async () => {
    const response_format = {
      type: 'json_object',
      schema: { type: 'object', additionalProperties: { type: 'integer' }, maxProperties: 3 },
    }
    const answer = await engine.ask(chat, { messages, response_format, max_tokens: 1500, temperature: 0 })
    expect(answer.choices[0]?.message.content).toMatch(/^\{/)
  })

  test('cannot be combined with tools that may be called', async () => {
    const refused = await engine.refused(chat, { ...ask, response_format: { type: 'json_object' } })
    expect(refused).toMatchObject({ status: 400, error: { param: 'response_format' } })
  })
})
