import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding } from '../../src/bench/random-gguf.ts'
import { startTiny, type TestEngine } from './embedded-engine.ts'

const chat = '/v1/chat/completions'
const user = { role: 'user', content: 'Hello' }
const hello = { messages: [user], max_tokens: 2, ...neverEnding() }
let tiny: TestEngine
beforeAll(async () => {
  tiny = await startTiny({ context: 256 })
})
afterAll(() => tiny.close())

/** Each refusal names what is wrong, and the engine answers the next request. */
async function refusal(
  path: string,
  body: unknown,
  status: number,
  code: string,
  param: string | null,
): Promise<string> {
  const refused = await tiny.refused(path, body)
  expect(refused).toMatchObject({ status, error: { code, param, source: 'engine' } })
  expect(Object.keys(refused.error).sort()).toEqual(['code', 'message', 'param', 'source', 'type'])
  expect((await tiny.ask(chat, hello)).usage.completion_tokens).toBe(2)
  return refused.error.message
}

describe('the embedded engine refuses', () => {
  test.each([
    ['{', 'invalid_json'],
    ['[1]', 'invalid_json'],
    ['', 'invalid_json'],
  ])('a body of %j', async (body, code) => {
    await refusal(chat, body, 400, code, null)
  })

  test.each([
    [{ messages: [] }, 'messages'],
    [{ messages: 'hi' }, 'messages'],
    [{ messages: [{ role: 'king', content: 'x' }] }, 'messages'],
    [{ messages: [{ role: 'user' }] }, 'messages'],
    [{ messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }] }, 'messages'],
    [{ ...hello, temperature: -1 }, 'temperature'],
    [{ ...hello, temperature: 'hot' }, 'temperature'],
    [{ ...hello, top_p: 2 }, 'top_p'],
    [{ ...hello, max_tokens: 0 }, 'max_tokens'],
    [{ ...hello, max_tokens: 1.5 }, 'max_tokens'],
    [{ ...hello, n: 999 }, 'n'],
    [{ ...hello, seed: 0.5 }, 'seed'],
    [{ ...hello, stop: [''] }, 'stop'],
    [{ ...hello, stream: 'yes' }, 'stream'],
    [{ ...hello, stream_options: { include_usage: true } }, 'stream_options'],
    [{ ...hello, logit_bias: { '99999': 1 } }, 'logit_bias'],
    [{ ...hello, logit_bias: { '1': 1000 } }, 'logit_bias'],
    [{ ...hello, top_logprobs: 3 }, 'top_logprobs'],
    [{ ...hello, logprobs: true, top_logprobs: 50 }, 'top_logprobs'],
    [{ ...hello, response_format: { type: 'xml' } }, 'response_format'],
    [{ ...hello, response_format: { type: 'json_schema' } }, 'response_format'],
    [{ ...hello, tools: [{ type: 'function' }] }, 'tools'],
    [{ ...hello, tool_choice: 'required' }, 'tool_choice'],
    [{ ...hello, grammar: 'root ::= (' }, 'grammar'],
    [{ ...hello, grammar: 'root ::= root "a"' }, 'grammar'],
    [{ ...hello, grammar: 'x' }, 'grammar'],
    [{ ...hello, chat_template_kwargs: { messages: [] } }, 'chat_template_kwargs'],
  ])('%j, naming the parameter', async (body, param) => {
    await refusal(chat, body, 400, 'invalid_parameter', param)
  })

  test('what it does not honour, by name', async () => {
    expect(await refusal(chat, { ...hello, best_of: 2 }, 400, 'unsupported_parameter', 'best_of')).toContain(
      '"best_of"',
    )
    await refusal('/v1/embeddings', { input: 'x', dimensions: 3 }, 400, 'unsupported_parameter', 'dimensions')
  })

  test('a prompt longer than the context, with both numbers', async () => {
    const long = { role: 'user', content: 'word '.repeat(400) }
    const message = await refusal(chat, { messages: [long] }, 400, 'context_length_exceeded', 'messages')
    const count = Number(/has (\d+) tokens/.exec(message)?.[1])
    expect(count).toBeGreaterThan(256)
    expect(message).toContain('256 tokens')
  })

  test('bytes that are no UTF-8', async () => {
    const body = Buffer.concat([
      Buffer.from('{"messages":[{"role":"user","content":"'),
      Buffer.from([0xff]),
      Buffer.from('"}]}'),
    ])
    const response = await fetch(tiny.engine.origin + chat, {
      method: 'POST',
      headers: tiny.engine.headers,
      body,
    })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_utf8' } })
  })

  test('a caller without the secret, and paths that are not there', async () => {
    const response = await fetch(`${tiny.engine.origin}/v1/models`)
    expect(response.status).toBe(401)
    const wrong = await fetch(`${tiny.engine.origin}/v1/models`, {
      headers: { authorization: 'Bearer guess' },
    })
    expect(wrong.status).toBe(401)
    await refusal('/v1/nothing', {}, 404, 'not_found', null)
  })

  test('nothing at all when the answer fills the context: it ends with "length"', async () => {
    const answer = await tiny.ask(chat, { messages: [user], temperature: 0, logit_bias: { '300': 100 } })
    expect(answer.choices[0]?.finish_reason).toBe('length')
    expect(answer.usage.total_tokens).toBeGreaterThanOrEqual(256)
    expect(answer.usage.total_tokens).toBeLessThanOrEqual(257)
  })
})

describe('a chat template', () => {
  test('that cannot be parsed fails chats with its reason, and completions work', async () => {
    const broken = await startTiny({ chatTemplate: '{% for message in messages %}{{ message' })
    try {
      const refused = await broken.refused(chat, hello)
      expect(refused).toMatchObject({ status: 422, error: { code: 'model_file_invalid' } })
      expect(refused.error.message).toContain('chat template cannot be read')
      expect(
        (await broken.ask('/v1/completions', { prompt: 'a', max_tokens: 2, ...neverEnding() })).usage
          .completion_tokens,
      ).toBe(2)
    } finally {
      await broken.close()
    }
  })

  test('that refuses the messages says so in its own words', async () => {
    const strict = await startTiny({
      chatTemplate:
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{{ messages[0].content }}",
    })
    try {
      const refused = await strict.refused(chat, { messages: [{ role: 'system', content: 'x' }, user] })
      expect(refused).toMatchObject({ status: 400, error: { code: 'invalid_parameter', param: 'messages' } })
      expect(refused.error.message).toContain('System role not supported')
      expect((await strict.ask(chat, hello)).usage.completion_tokens).toBe(2)
    } finally {
      await strict.close()
    }
  })

  test('that is missing is replaced by ChatML, and the properties say so', async () => {
    const bare = await startTiny({ chatTemplate: null })
    try {
      const { prompt } = await bare.ask<{ prompt: string }>('/apply-template', { messages: [user] })
      expect(prompt).toBe('<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n')
      const props = await fetch(`${bare.engine.origin}/props`, { headers: bare.engine.headers })
      expect(await props.json()).toMatchObject({ chat_template_missing: true })
    } finally {
      await bare.close()
    }
  })
})
