import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding } from '../../src/bench/random-gguf.ts'
import { startTiny, type TestEngine } from './embedded-engine.ts'

const chat = '/v1/chat/completions'
const vocab = 2048
let engine: TestEngine
beforeAll(async () => {
  // Big enough that an answer takes a while, small enough for a laptop.
  engine = await startTiny(
    {
      layers: 8,
      embedding: 512,
      heads: 8,
      kvHeads: 4,
      feedForward: 2048,
      vocab,
      context: 2048,
      type: 'Q8_0',
    },
    { parallel: 2 },
  )
})
afterAll(() => engine.close())

const busy = async (): Promise<{ running: number; waiting: number }> => {
  const props = await fetch(`${engine.engine.origin}/props`, { headers: engine.engine.headers })
  return ((await props.json()) as { requests: { running: number; waiting: number } }).requests
}
const ask = (content: string, extra: object = {}): object => ({
  messages: [{ role: 'user', content }],
  temperature: 0,
  max_tokens: 20,
  ...neverEnding({ vocab }),
  ...extra,
})

describe('continuous batching', () => {
  test('gives every one of many answers the text it gives alone', async () => {
    const prompts = ['one', 'two', 'three', 'four', 'five', 'six']
    const together = await Promise.all(prompts.map((prompt) => engine.ask(chat, ask(prompt))))
    expect(together.map((answer) => answer.usage.completion_tokens)).toEqual(prompts.map(() => 20))
    const texts = together.map((answer) => answer.choices[0]?.message.content)
    for (const [index, prompt] of prompts.entries()) {
      const alone = await engine.ask(chat, ask(prompt))
      expect(alone.choices[0]?.message.content).toBe(texts[index])
    }
  })

  test('frees the sequence within a token when the client goes away', async () => {
    const gone = new AbortController()
    const response = await engine.post(chat, ask('count', { max_tokens: 1900, stream: true }), gone.signal)
    const reader = response.body?.getReader()
    await reader?.read()
    expect((await busy()).running).toBe(1)
    gone.abort()
    await reader?.closed.catch(() => undefined)
    // 1900 tokens take seconds; the next few steps are enough.
    for (let round = 0; (await busy()).running > 0; round++) {
      expect(round).toBeLessThan(100)
      await sleep(10)
    }
    const next = await engine.ask(chat, ask('count'))
    expect(next.timings.cache_n).toBeGreaterThan(0)
  })

  /** Two answers that hold both sequences until they are given up. */
  const holdBoth = async (): Promise<AbortController> => {
    const gone = new AbortController()
    const long = [1, 2].map((index) =>
      engine.post(chat, ask(`long ${index}`, { max_tokens: 1900, stream: true }), gone.signal),
    )
    await Promise.all(long.map(async (response) => (await response).body?.getReader().read()))
    return gone
  }

  test('keeps more requests than sequences in a bounded queue and refuses the rest', async () => {
    const both = await holdBoth()
    let refused = 0
    const requests = Array.from({ length: 90 }, async (_, index) => {
      const response = await engine.post(chat, ask(`q${index}`, { max_tokens: 3 }))
      const body = (await response.json()) as { error?: { code: string } }
      if (response.status === 503) {
        expect(body.error?.code).toBe('overloaded')
        expect(response.headers.get('retry-after')).toBe('1')
        refused++
      }
      return response.status
    })
    while (refused < 90 - 64) await sleep(5)
    both.abort()
    const statuses = await Promise.all(requests)
    expect(statuses.filter((status) => status === 200)).toHaveLength(64)
    expect(statuses.filter((status) => status === 503)).toHaveLength(90 - 64)
    expect(await busy()).toEqual({ running: 0, waiting: 0 })
  })

  test('a waiting request whose client goes away leaves the queue', async () => {
    const both = await holdBoth()
    const waiting = new AbortController()
    const third = engine.post(chat, ask('third'), waiting.signal).catch(() => 'gone')
    while ((await busy()).waiting === 0) await sleep(5)
    waiting.abort()
    expect(await third).toBe('gone')
    while ((await busy()).waiting > 0) await sleep(5)
    both.abort()
    expect((await engine.ask(chat, ask('after'))).usage.completion_tokens).toBe(20)
  })
})
