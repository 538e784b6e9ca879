import { describe, expect, it } from 'vitest'
import type { ApiError } from './api.ts'
import { readLoadingComment, streamAnswer } from './completion.ts'

const sse = (text: string) => new Response(text, { headers: { 'content-type': 'text/event-stream' } })
const chunk = (value: unknown) => `data: ${JSON.stringify(value)}\n\n`
const delta = (value: unknown, finish: string | null = null) =>
  chunk({ choices: [{ index: 0, delta: value, finish_reason: finish }] })

/** Answers with the given responses in turn and writes down all that happens. */
async function ask(responses: (() => Response | Promise<Response>)[]) {
  const seen: string[] = []
  const bodies: unknown[] = []
  const waited: number[] = []
  let failure: unknown = null
  await streamAnswer(
    { model: 'm', messages: [{ role: 'user', content: 'hi' }], temperature: 0 },
    {
      onLoading: (p) => seen.push(`loading ${p.phase} ${p.percent}`),
      onWaiting: (note) => seen.push(`wait: ${note}`),
      onText: (text) => seen.push(text),
      onThinking: (text) => seen.push(`(${text})`),
      onUsage: (usage) => seen.push(`${usage.promptTokens}+${usage.completionTokens}`),
      onFinish: (reason) => seen.push(`end:${reason}`),
    },
    new AbortController().signal,
    {
      fetch: async (_url, init) => {
        bodies.push(JSON.parse(String(init?.body)))
        return responses[bodies.length - 1]!()
      },
      wait: async (seconds) => {
        waited.push(seconds)
      },
    },
  ).catch((thrown: unknown) => {
    failure = thrown
  })
  return { seen, bodies, waited, failure: failure as ApiError | null }
}

describe('a streamed answer', () => {
  it('gives text, thinking, usage and the end, and asks for usage', async () => {
    const { seen, bodies, failure } = await ask([
      () =>
        sse(
          ': loading 40 % (reading weights)\n\n: keep-alive\n\n: queued position=3 eta=12s\n\n' +
            delta({ role: 'assistant', content: '' }) +
            delta({ reasoning_content: 'hm' }) +
            delta({ content: 'Hello' }) +
            delta({ content: ' you' }) +
            delta({}, 'stop') +
            chunk({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } }) +
            'data: [DONE]\n\n',
        ),
    ])
    expect(failure).toBeNull()
    expect(seen).toEqual([
      'loading reading weights 40',
      'wait: waiting, number 3 in line, about 12 s',
      '(hm)',
      'Hello',
      ' you',
      'end:stop',
      '3+2',
    ])
    expect(bodies).toEqual([
      {
        model: 'm',
        messages: [{ role: 'user', content: 'hi' }],
        temperature: 0,
        stream: true,
        stream_options: { include_usage: true },
      },
    ])
  })

  it('waits as the hub asks while the model loads, then goes on', async () => {
    const busy = () =>
      Response.json(
        {
          error: {
            message: 'The model is loading.',
            type: 'server_error',
            param: null,
            code: 'model_loading',
          },
          loading: { phase: 'reading weights', percent: 12.5, etaS: 3 },
        },
        { status: 503, headers: { 'retry-after': '3' } },
      )
    const { seen, waited, failure } = await ask([
      busy,
      busy,
      () => sse(`${delta({ content: 'ok' }, 'stop')}data: [DONE]\n\n`),
    ])
    expect(failure).toBeNull()
    expect(waited).toEqual([3, 3])
    expect(seen).toEqual(['loading reading weights 12.5', 'loading reading weights 12.5', 'ok', 'end:stop'])
  })

  it('does not repeat a 503 that says nothing about loading', async () => {
    const { bodies, failure } = await ask([
      () =>
        Response.json({ error: { message: 'Too many requests wait.', code: 'overloaded' } }, { status: 503 }),
    ])
    expect(bodies).toHaveLength(1)
    expect(failure).toMatchObject({ message: 'Too many requests wait.', code: 'overloaded', status: 503 })
  })

  it('reports an error inside the stream in its own words and keeps the text before it', async () => {
    const { seen, failure } = await ask([
      () =>
        sse(
          delta({ content: 'part' }) +
            chunk({ error: { message: 'The engine died.', code: 'engine_crashed' } }),
        ),
    ])
    expect(seen).toEqual(['part'])
    expect(failure).toMatchObject({ message: 'The engine died.', code: 'engine_crashed' })
  })

  it('calls a stream that closes without an end broken', async () => {
    const { seen, failure } = await ask([() => sse(delta({ content: 'part' }))])
    expect(seen).toEqual(['part'])
    expect(failure).toMatchObject({ code: 'stream_broken' })
  })

  it('takes an answer with a finish reason as whole although [DONE] is missing', async () => {
    const { failure } = await ask([() => sse(delta({ content: 'whole' }, 'length'))])
    expect(failure).toBeNull()
  })

  it('says that the hub is away when it cannot be reached', async () => {
    const { failure } = await ask([
      () => {
        throw new TypeError('Failed to fetch')
      },
    ])
    expect(failure).toMatchObject({ code: 'unreachable' })
  })

  it('gives a sentence for a page of HTML from a proxy in between', async () => {
    const { failure } = await ask([() => new Response('<h1>Bad gateway</h1>', { status: 502 })])
    expect(failure?.message).toBe('The hub answered with HTTP 502 and no explanation.')
    const wrong = await ask([
      () => new Response('<h1>Login</h1>', { headers: { 'content-type': 'text/html' } }),
    ])
    expect(wrong.failure?.message).toBe('The hub did not answer with a stream.')
  })
})

describe('a comment about loading', () => {
  it('is read with and without a percentage and a phase', () => {
    expect(readLoadingComment('loading')).toEqual({ phase: 'loading', percent: null, etaS: null })
    expect(readLoadingComment('loading 40 %')).toEqual({ phase: 'loading', percent: 40, etaS: null })
    expect(readLoadingComment('loading 7 % (installing the engine)')).toEqual({
      phase: 'installing the engine',
      percent: 7,
      etaS: null,
    })
    expect(readLoadingComment('loading (warming up)')).toMatchObject({ phase: 'warming up', percent: null })
    expect(readLoadingComment('loading: warming up, 99.5%')).toMatchObject({
      phase: 'warming up',
      percent: 99.5,
    })
    expect(readLoadingComment('keep-alive')).toBeNull()
  })
})
