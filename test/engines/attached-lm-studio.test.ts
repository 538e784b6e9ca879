import { afterEach, describe, expect, test } from 'vitest'
import { type AttachedStand, attach, eventsOf, startFake, wordsOf } from './attached-stand.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})
async function stand(...args: string[]): Promise<AttachedStand> {
  const program = await startFake('fake-lm-studio.mjs', ...args)
  open.push(program.stop)
  const holon = await attach('lm-studio', program.url)
  open.push(holon.close)
  return holon
}
const qwen = 'qwen/qwen3-4b'

describe('an LM Studio that was already there', () => {
  test('is listed, loads with the context it is told, tells how many it answers at once, and unloads', async () => {
    const holon = await stand()
    expect(holon.model(qwen)).toMatchObject({
      engine: 'lm-studio',
      state: 'disk',
      quant: '4bit',
      sizeBytes: 2_278_972_516,
      paramsTotal: 4e9,
      contextMax: 40_960,
      format: 'safetensors',
    })
    expect(holon.model('text-embedding-nomic')).toMatchObject({ embedding: true, format: 'gguf' })
    await holon.agent.load(qwen, { contextTokens: 16_384 })
    expect(holon.agent.ps()).toMatchObject([
      { id: qwen, contextTokens: 16_384, parallel: 4, memoryBytes: null },
    ])
    await holon.agent.unload(qwen)
    expect(holon.model(qwen)?.state).toBe('disk')
  })

  test('its stats become speeds, whole and streamed, and tools go where they are documented', async () => {
    const holon = await stand()
    expect(await (await holon.chat(qwen, 'hi')).json()).toMatchObject({
      usage: { completion_tokens: 6 },
      timings: { predicted_per_second: 51.5, prompt_ms: 200 },
    })
    const { events, done } = await eventsOf(await holon.chat(qwen, 'hi', { stream: true }))
    expect([wordsOf(events), done]).toEqual(['word0 word1 word2 word3 word4 word5', true])
    expect(events.at(-1)?.timings).toMatchObject({ predicted_per_second: 51.5 })
    expect(holon.agent.ps()[0]?.decodeTokS).toBe(51.5)
    const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
    expect(await (await holon.chat(qwen, 'hi', { tools })).json()).not.toHaveProperty('stats')
  })

  test('a version before 0.4 is used as far as it goes', async () => {
    const holon = await stand('--api', 'v0')
    expect(holon.model(qwen)).toMatchObject({ state: 'disk', quant: '4bit', contextMax: 40_960 })
    expect((await holon.chat(qwen, 'hi')).status).toBe(200)
    expect(holon.model(qwen)?.state).toBe('ready')
    await expect(holon.agent.unload(qwen)).rejects.toMatchObject({ code: 'usage' })
  })

  test('its memory guardrail and its crash are told', async () => {
    const guarded = await stand('--fault', 'guardrail')
    const refused = await guarded.chat(qwen, 'hi')
    expect(refused.status).toBe(507)
    expect(await refused.json()).toMatchObject({ error: { code: 'model_too_big' } })
    const holon = await stand()
    const cut = await eventsOf(await holon.chat(qwen, 'fault:cut-mid-stream', { stream: true }))
    expect([cut.done, cut.events.at(-1)?.error?.code]).toEqual([false, 'engine_failed'])
  })

  test('another server at its address is not taken for it', async () => {
    const program = await startFake('fake-engine.mjs')
    open.push(program.stop)
    const holon = await attach('lm-studio', program.url, { models: ['fake'] })
    open.push(holon.close)
    expect(holon.model('fake')).toMatchObject({ state: 'failed' })
    expect(await holon.engine.detect(AbortSignal.timeout(5000))).toMatchObject({ available: false })
  })
})
