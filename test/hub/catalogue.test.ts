import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { CatalogueResponse } from '../../src/protocol/catalogue.ts'
import { FakeEngine } from './fake-engine.ts'
import { aModel, FakeNode } from './fake-node.ts'
import { chat, errorOf, type Stand, startStand } from './start-hub.ts'

const qwen = { architecture: 'qwen2', paramsTotal: 7.6e9 }
const gguf = aModel('Qwen2.5-7B-Instruct-Q4_K_M', {
  ...qwen,
  quant: 'Q4_K_M',
  source: 'bartowski/Qwen2.5-7B-Instruct-GGUF/Qwen2.5-7B-Instruct-Q4_K_M.gguf',
  weightsId: 'gguf-0123456789abcdef01234567',
})
const coder = aModel('Qwen2.5-Coder-7B-Instruct-Q4_K_M', { ...qwen, quant: 'Q4_K_M' })
const base = aModel('Qwen2.5-7B-Q8_0', { ...qwen, quant: 'Q8_0' })
const ollama = aModel('qwen2.5:7b-instruct-q8_0', {
  ...qwen,
  path: '',
  source: '',
  quant: 'Q8_0',
  state: 'disk',
})
const mlx = aModel('mlx-community/Qwen2.5-7B-Instruct-3bit', { ...qwen, path: '', source: '', quant: null })

let stand: Stand
let other: FakeNode
let otherEngine: FakeEngine
async function start() {
  otherEngine = new FakeEngine()
  await otherEngine.start()
  other = new FakeNode(otherEngine.origin, [], 'node-2', 'mini')
  stand = await startStand({}, [other])
  advertise()
}
async function stop() {
  await stand.stop()
  await otherEngine.stop()
}
function advertise() {
  other.models = [{ ...ollama }, { ...mlx }]
  stand.node.models = [{ ...gguf }, { ...coder }, { ...base }]
}

const ask = (model: string) => stand.post('/v1/chat/completions', chat('hello', { model }))
/** The ids that answered, as the engines saw them. */
async function servedBy(model: string): Promise<string> {
  const response = await ask(model)
  expect([model, response.status]).toEqual([model, 200])
  const engine = response.headers.get('x-holon-node') === 'mini' ? otherEngine : stand.engine
  return (JSON.parse(engine.seen.at(-1)!.raw.toString()) as { model: string }).model
}
const get = async <T>(path: string): Promise<T> => (await (await fetch(stand.url + path)).json()) as T
const manage = (what: string, body: object) => stand.post(`/fleet/v1/catalogue/${what}`, body)
const catalogue = () => get<CatalogueResponse>('/fleet/v1/catalogue')
const isTier = (id: string) => id.startsWith('auto')
const ids = async () =>
  (await get<{ data: { id: string }[] }>('/v1/models')).data.map((row) => row.id).filter((id) => !isTier(id))

describe('one model under many names', () => {
  beforeAll(start)
  beforeEach(advertise)
  afterAll(stop)

  test('is listed once with its variants, the best first, and its relatives apart', async () => {
    const { data } = await get<{
      data: { id: string; holon: { variants: { id: string }[]; state: string } }[]
    }>('/v1/models')
    expect(data.map((row) => row.id)).toEqual([
      'qwen2.5-7b-instruct',
      'qwen2.5-coder-7b-instruct',
      'qwen2.5-7b-base',
      'auto',
      'auto:fast',
      'auto:best',
    ])
    expect(data[0]?.holon.variants.map((variant) => variant.id)).toEqual([ollama.id, gguf.id, mlx.id])
    expect(data[0]?.holon.state).toBe('ready')
  })

  test('is answered by what is ready first, then by the highest quality, under the engine’s own name', async () => {
    expect(await servedBy('qwen2.5-7b-instruct')).toBe(gguf.id)
    stand.node.models[0]!.state = 'disk'
    stand.node.changed()
    other.models[1]!.state = 'disk'
    other.changed()
    expect(await servedBy('qwen2.5-7b-instruct')).toBe(ollama.id)
    expect((await ask('qwen2.5-7b-instruct')).headers.get('x-holon-route')).toContain(`serves ${ollama.id}`)
  })

  test('is not answered by a better variant that does not fit', async () => {
    stand.node.models[0]!.state = 'disk'
    stand.node.changed()
    other.models[0]!.sizeBytes = 1e12
    other.models[1]!.state = 'disk'
    other.changed()
    expect(await servedBy('qwen2.5-7b-instruct')).toBe(gguf.id)
  })

  test.each([
    'qwen2.5:7b',
    'qwen2.5',
    'Qwen/Qwen2.5-7B-Instruct',
    'bartowski/Qwen2.5-7B-Instruct-GGUF',
    'Qwen2.5-7B-Instruct-Q4_K_M.gguf',
    'qwen2.5:7b-instruct-q4_K_M',
    'qwen2.5-7b-instruct@q4_k_m',
    'qwen2.5-7b-instruct@>=q4',
    'qwen2.5-7b-instruct@q4+',
    'qwen2.5-7b-instruct@exact:gguf-0123456789abcdef01234567',
    'QWEN2.5-7B-INSTRUCT-q4_k_m',
  ])('is found as %s', async (name) => {
    expect(await servedBy(name)).toBe(gguf.id)
  })

  test('is asked for by exact id, at least so good, or exactly those weights', async () => {
    expect(await servedBy(mlx.id)).toBe(mlx.id)
    expect(await servedBy('qwen2.5-7b-instruct@>=q8')).toBe(ollama.id)
    expect(await servedBy('qwen2.5:7b-instruct-q8_0')).toBe(ollama.id)
    expect((await errorOf(await ask('qwen2.5-7b-instruct@>=bf16'))).error).toMatchObject({
      code: 'model_not_found',
      message: expect.stringContaining(`${gguf.id} (Q4_K_M, weights gguf-0123456789abcdef01234567)`),
    })
    expect((await ask('qwen2.5-7b-instruct@exact:gguf-ffff')).status).toBe(404)
    expect((await errorOf(await ask('qwen2.5-7b-instruct@best'))).error.code).toBe('invalid_parameter')
  })

  test('that is not here is answered with the nearest names, never with another model', async () => {
    const { error } = await errorOf(await ask('qwen2.5-coder-14b-instruct'))
    expect(error.code).toBe('model_not_found')
    expect(error.message).toContain('The nearest names here are "qwen2.5-coder-7b-instruct"')
    for (const name of [
      'qwen2.5-7b-instruct-abliterated',
      'somebody/Qwen2.5-7B-Instruct',
      'qwen2.5:14b',
      'llama3.1:8b',
    ])
      expect([name, (await ask(name)).status]).toEqual([name, 404])
  })

  test('is described by any of its names', async () => {
    const row = await get<{ id: string; holon: { variants: unknown[] } }>('/v1/models/qwen2.5%3A7b')
    expect([row.id, row.holon.variants.length]).toEqual(['qwen2.5-7b-instruct', 3])
    const one = await get<{ id: string; holon: { variants: unknown[] } }>(`/v1/models/${gguf.id}`)
    expect([one.id, one.holon.variants.length]).toEqual([gguf.id, 1])
  })

  test('is loaded and unloaded by its canonical name', async () => {
    const loaded = await stand.post('/fleet/v1/models/load', { model: 'qwen2.5:7b' })
    expect(await loaded.json()).toMatchObject({ model: gguf.id })
    const unloaded = await stand.post('/fleet/v1/models/unload', { model: 'qwen2.5-7b-instruct' })
    expect(await unloaded.json()).toMatchObject({ model: gguf.id, wasInMemory: true })
  })

  test('is kept no longer once it is unloaded, though it had been pushed out of memory', async () => {
    stand.node.models = [aModel('tiny', { state: 'disk', kept: true })]
    const unload = () => stand.post('/fleet/v1/models/unload', { model: 'tiny' })
    expect(await (await unload()).json()).toEqual({ model: 'tiny', nodes: ['node-1'], wasInMemory: false })
    expect(stand.node.models[0]?.kept).toBe(false)
    expect((await unload()).status).toBe(404)
  })
})

describe('a curated catalogue', () => {
  beforeEach(start)
  afterEach(stop)

  test('offers at first what is advertised, and then only what is on the list', async () => {
    expect((await manage('offer', { model: 'qwen2.5:7b' })).status).toBe(400)
    expect((await manage('mode', { mode: 'curated' })).status).toBe(200)
    expect(await ids()).toHaveLength(3)
    expect((await manage('withdraw', { model: 'qwen2.5:7b' })).status).toBe(200)
    expect(await ids()).toEqual(['qwen2.5-coder-7b-instruct', 'qwen2.5-7b-base'])
    for (const name of [gguf.id, 'qwen2.5-7b-instruct', 'qwen2.5:7b']) {
      const { error } = await errorOf(await ask(name))
      expect(error.message).toMatch(/is not offered here|There is no model/)
      expect(error.code).toBe('model_not_found')
    }
    expect((await errorOf(await ask(gguf.id))).error.message).toContain(`holon models offer ${gguf.id}`)
    expect((await catalogue()).models.find((model) => model.name === 'qwen2.5-7b-instruct')?.offered).toBe(
      false,
    )
  })

  test('offers one variant alone, by its exact id', async () => {
    await manage('mode', { mode: 'curated' })
    await manage('withdraw', { model: 'qwen2.5-7b-instruct' })
    await manage('offer', { model: ollama.id })
    expect(await servedBy('qwen2.5-7b-instruct')).toBe(ollama.id)
    expect((await ask(gguf.id)).status).toBe(404)
    const { offers } = await catalogue()
    expect(offers).toContainEqual({ kind: 'id', name: ollama.id, advertised: true })
  })

  test('keeps a model on the list that no node has yet, and refuses to withdraw what is not on it', async () => {
    await manage('mode', { mode: 'curated' })
    await manage('offer', { model: 'llama3.1:8b' })
    expect((await catalogue()).offers).toContainEqual({
      kind: 'model',
      name: 'llama-3.1-8b-instruct',
      advertised: false,
    })
    other.models = [...other.models, aModel('Meta-Llama-3.1-8B-Instruct-Q4_K_M', { paramsTotal: 8e9 })]
    expect(await servedBy('llama3.1')).toBe('Meta-Llama-3.1-8B-Instruct-Q4_K_M')
    expect((await manage('withdraw', { model: 'mistral:7b' })).status).toBe(404)
    const { error } = await errorOf(await manage('withdraw', { model: gguf.id }))
    expect(error.message).toContain('"qwen2.5-7b-instruct", which is offered whole')
  })

  test('outlives the hub, and an open one forgets nothing of the list', async () => {
    await manage('mode', { mode: 'curated' })
    await manage('withdraw', { model: 'qwen2.5-7b-instruct' })
    const { home } = stand
    await stand.hub.close(200)
    const again = await startStand({ home })
    again.node.models = [{ ...gguf }, { ...coder }]
    const listed = async () => {
      const { data } = (await (await fetch(`${again.url}/v1/models`)).json()) as { data: { id: string }[] }
      return data.map((row) => row.id).filter((id) => !isTier(id))
    }
    expect(await listed()).toEqual(['qwen2.5-coder-7b-instruct'])
    await again.post('/fleet/v1/catalogue/mode', { mode: 'open' })
    expect(await listed()).toHaveLength(2)
    await again.post('/fleet/v1/catalogue/mode', { mode: 'curated' })
    expect(await listed()).toEqual(['qwen2.5-coder-7b-instruct'])
    await again.stop()
  })
})
