import { afterEach, describe, expect, test } from 'vitest'
import { type AttachedStand, attach, eventsOf, startFake, wordsOf } from './attached-stand.ts'

const open: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})
async function stand(...args: string[]): Promise<AttachedStand> {
  const program = await startFake('fake-vllm.mjs', ...args)
  open.push(program.stop)
  const holon = await attach('vllm', program.url)
  open.push(holon.close)
  return holon
}
const llama = 'meta-llama/Llama-3.1-70B-Instruct'

describe('a vLLM that was already there', () => {
  test('is listed with its adapters, proven by the first request, and answers', async () => {
    const holon = await stand()
    expect(holon.agent.state().models.map(({ id }) => id)).toEqual([llama, 'sql-lora'])
    expect(holon.model(llama)).toMatchObject({
      engine: 'vllm',
      contextMax: 32_768,
      format: 'safetensors',
      state: 'disk',
    })
    expect(await holon.engine.detect(AbortSignal.timeout(5000))).toMatchObject({
      available: true,
      version: '0.18.0',
    })
    const { events, done } = await eventsOf(await holon.chat(llama, 'hi', { stream: true }))
    expect([wordsOf(events), done]).toEqual(['word0 word1 word2 word3 word4 word5', true])
    expect(holon.model(llama)?.state).toBe('ready')
    expect(holon.agent.ps()[0]).toMatchObject({ parallel: 64, memoryBytes: null })
  })

  test('says nothing of time: the speed is measured from its stream', async () => {
    const holon = await stand('--delay-ms', '10')
    await eventsOf(await holon.chat(llama, 'hi', { stream: true, stream_options: { include_usage: true } }))
    expect(holon.agent.ps()[0]?.decodeTokS).toBeGreaterThan(0)
    expect(holon.agent.ps()[0]?.prefillTokS).toBeNull()
  })

  test('whose engine is dead is not usable, whether its health page says so or not', async () => {
    const told = await stand('--fault', 'dead-engine')
    expect(told.agent.state()).toMatchObject({ engines: [], models: [] })
    const silent = await stand('--fault', 'silent-death')
    const response = await silent.chat(llama, 'hi')
    expect(response.status).toBe(500)
    expect(await response.json()).toMatchObject({ error: { code: 'model_load_failed', source: 'engine' } })
    expect(silent.model(llama)).toMatchObject({
      state: 'failed',
      failure: expect.stringContaining('EngineCore'),
    })
  })

  test("a caller's own mistake is told and not held against it", async () => {
    const holon = await stand()
    const response = await holon.chat(llama, 'fault:context')
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error: { code: 'context_length_exceeded', source: 'engine' },
    })
    expect(holon.model(llama)?.state).toBe('ready')
    const cut = await eventsOf(await holon.chat(llama, 'fault:cut-mid-stream', { stream: true }))
    expect([cut.done, cut.events.at(-1)?.error?.code]).toEqual([false, 'engine_failed'])
  })
})
