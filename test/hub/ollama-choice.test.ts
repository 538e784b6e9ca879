/** Which variant answers Ollama's clients: chosen with the whole request before it, as for every other client. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeEngine } from './fake-engine.ts'
import { aModel, FakeNode } from './fake-node.ts'
import { chat, type Stand, startStand } from './start-hub.ts'

const qwen = { architecture: 'qwen2', paramsTotal: 7.6e9, contextMax: 32_768 }
const fine = aModel('qwen2.5-7b-instruct-q8_0', { ...qwen, quant: 'Q8_0' })
const roomy = aModel('qwen2.5-7b-instruct-q4_k_m', { ...qwen, quant: 'Q4_K_M' })
const long = 'Once upon a time there was a very long prompt. '.repeat(1_000)

let stand: Stand
let engine: FakeEngine
let other: FakeNode
beforeEach(async () => {
  engine = new FakeEngine()
  await engine.start()
  // The finer variant is in memory with 4,096 tokens of context, the other with all of it.
  other = new FakeNode(engine.origin, [roomy], 'node-2', 'mini')
  const { state } = other
  other.state = () => {
    const told = state.call(other)
    return { ...told, running: told.running.map((one) => ({ ...one, contextTokens: 32_768 })) }
  }
  stand = await startStand({}, [other])
  stand.node.models = [fine]
})
afterEach(async () => {
  await stand.stop()
  await engine.stop()
})

const nodeFor = async (text: string, more: object = {}): Promise<string | null> => {
  const response = await stand.post('/api/chat', chat(text, { model: 'qwen2.5:7b', stream: false, ...more }))
  expect([response.status, ((await response.json()) as { model: string }).model]).toEqual([
    200,
    (more as { model?: string }).model ?? 'qwen2.5:7b',
  ])
  return response.headers.get('x-holon-node')
}

test('a short prompt is answered by the finer variant, a long one by the one that has room for it', async () => {
  expect(await nodeFor('hello')).toBe('studio')
  expect(await nodeFor(long)).toBe('mini')
  // As Ollama's clients write a name without a tag.
  expect(await nodeFor(long, { model: 'qwen2.5-7b-instruct:latest' })).toBe('mini')
})

test('what is kept in memory is the variant that answered', async () => {
  await nodeFor(long, { keep_alive: '2h' })
  const { models } = (await (await fetch(`${stand.url}/api/ps`)).json()) as {
    models: { expires_at: string; size: number }[]
  }
  const hours = models.map(({ expires_at: at }) => Math.round((Date.parse(at) - Date.now()) / 3_600_000))
  expect(hours.sort()).toEqual([0, 2])
  // Kept is what is told to stay for two hours: not the one that a short question would have gone to.
  await nodeFor(long, { keep_alive: 0 })
  await expect.poll(() => other.models[0]?.state).toBe('disk')
  expect(stand.node.models[0]?.state).toBe('ready')
})

test('a context asked for is loaded, and answered by the variant that it was loaded for', async () => {
  expect(await nodeFor('hello', { options: { num_ctx: 8_192 } })).toBe('studio')
  expect(stand.node.loads).toEqual([{ id: fine.id, contextTokens: 8_192 }])
})
