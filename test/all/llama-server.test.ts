import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { neverEnding, writeRandomGguf } from '../../src/bench/random-gguf.ts'
import type { EngineDriver } from '../../src/engines/engine.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import { clientOf, launchDefaults, startTiny, type TestEngine } from '../engines/embedded-engine.ts'
import { testHome } from '../support/engine-home.ts'

const chat = '/v1/chat/completions'
const hello = {
  model: 'tiny',
  messages: [{ role: 'user', content: 'Hello there' }],
  max_tokens: 24,
  temperature: 0,
  ...neverEnding(),
}
let home: ReturnType<typeof testHome>
let driver: EngineDriver
let server: TestEngine
beforeAll(async () => {
  home = testHome()
  driver = llamaServerDriver(home)
  await driver.install({ onProgress: () => undefined, signal: new AbortController().signal })
  server = await startTiny({}, { contextTokens: 512 }, () => driver)
})
afterAll(async () => {
  await server?.close()
  home.remove()
})

describe('llama-server as an engine', () => {
  test('is found with its version, and installing it again does nothing', async () => {
    const found = await driver.detect()
    expect(found).toMatchObject({ id: 'llama-server', available: true, hint: null })
    expect(found.version).toMatch(/\d/)
    await driver.install({ onProgress: () => expect.unreachable(), signal: new AbortController().signal })
  })

  test('answers behind its secret, which lies in no file any more', async () => {
    expect(readdirSync(home.run)).toEqual([])
    const response = await fetch(`${server.engine.origin}/v1/chat/completions`, {
      method: 'POST',
      body: '{}',
    })
    expect(response.status).toBe(401)
    expect(server.engine).toMatchObject({ parallel: 4, contextTokens: 512 })
    expect(await server.engine.healthy(new AbortController().signal)).toBe(true)
  })

  test('answers as the embedded engine does, token for token', async () => {
    const embedded = await startTiny()
    try {
      const [a, b] = await Promise.all([server.ask(chat, hello), embedded.ask(chat, hello)])
      expect(b.choices[0]?.message.content).toBe(a.choices[0]?.message.content)
      expect(b.usage).toMatchObject({
        prompt_tokens: a.usage.prompt_tokens,
        completion_tokens: a.usage.completion_tokens,
      })
      // Whatever the hub reads of one engine's figures it finds in the other's.
      const shared = (key: string): boolean =>
        key !== 'prompt_per_token_ms' && key !== 'predicted_per_token_ms'
      expect(Object.keys(b.timings).filter(shared).sort()).toEqual(
        Object.keys(a.timings).filter(shared).sort(),
      )
      const probs = { ...hello, max_tokens: 3, logprobs: true, top_logprobs: 3 }
      const [c, d] = await Promise.all([server.ask(chat, probs), embedded.ask(chat, probs)])
      const values = (answer: typeof c): number[] =>
        answer.choices[0]?.logprobs?.content.flatMap((entry) => [
          entry.logprob,
          ...entry.top_logprobs.map((top) => top.logprob),
        ]) ?? []
      for (const [index, value] of values(c).entries()) expect(values(d)[index]).toBeCloseTo(value, 3)
    } finally {
      await embedded.close()
    }
  })

  test('streams with usage and timings in the last chunk, as the embedded engine does', async () => {
    const chunks = await server.stream(chat, { ...hello, stream_options: { include_usage: true } })
    expect(chunks.at(-1)).toMatchObject({
      choices: [],
      usage: { completion_tokens: 24 },
      timings: { predicted_n: 24 },
    })
  })

  test('embeds as the embedded engine does when launched for it', async () => {
    const embedder = await startTiny({}, { embedding: true, contextTokens: 512 }, () => driver)
    const embedded = await startTiny({}, { embedding: true })
    try {
      interface Vectors {
        data: { embedding: number[] }[]
      }
      const [a, b] = await Promise.all(
        [embedder, embedded].map((each) => each.ask<Vectors>('/v1/embeddings', { input: 'hello there' })),
      )
      const [left, right] = [a!.data[0]!.embedding, b!.data[0]!.embedding]
      expect(left).toHaveLength(64)
      for (const [index, value] of left.entries()) expect(right[index]).toBeCloseTo(value, 3)
    } finally {
      await embedder.close()
      await embedded.close()
    }
  })

  test('refuses a damaged file before it starts anything', async () => {
    const broken = join(home.root, 'broken.gguf')
    writeFileSync(broken, 'GGUF and no more')
    await expect(driver.launch({ ...launchDefaults, modelPath: broken })).rejects.toMatchObject({
      code: 'model_file_invalid',
    })
    const missing = driver.launch({ ...launchDefaults, modelPath: join(home.root, 'none.gguf') })
    await expect(missing).rejects.toMatchObject({ code: 'model_file_missing' })
  })

  test('names an architecture it does not know', async () => {
    const alien = join(home.root, 'alien.gguf')
    writeRandomGguf(alien, { architecture: 'alien' })
    const refused = driver.launch({ ...launchDefaults, modelPath: alien })
    await expect(refused).rejects.toMatchObject({
      code: 'model_file_invalid',
      message: expect.stringContaining('"alien"'),
    })
    expect(readdirSync(home.run)).toEqual([])
  })

  test('that dies says so, and a new one can be launched', async () => {
    const path = join(home.root, 'good.gguf')
    writeRandomGguf(path)
    const first = await driver.launch({ ...launchDefaults, modelPath: path })
    process.kill(first.pid, 'SIGKILL')
    expect(await first.exited).toMatchObject({ signal: 'SIGKILL' })
    const second = await driver.launch({ ...launchDefaults, modelPath: path })
    expect((await clientOf(second).ask(chat, hello)).usage.completion_tokens).toBe(24)
    await second.stop()
    expect((await second.exited).reason).toBe('The engine was stopped.')
  })
})
