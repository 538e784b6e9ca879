import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { homeAt } from '../../core/home.ts'
import { silentLog } from '../../core/log.ts'
import { writeGguf } from '../../formats/gguf/write-gguf.ts'
import { modelInfo } from '../../protocol/model.ts'
import { FaultyFileServer } from './faulty-file-server.ts'
import { createModelStore, type ModelStore, modelFoldersFromEnv } from './model-store.ts'

let folder: string
let store: ModelStore
let server: FaultyFileServer
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holon-store-'))
  server = await FaultyFileServer.start()
  await put('demo/holon-demo.gguf', llama())
  store = open()
})
afterEach(async () => {
  await server.stop()
  await rm(folder, { recursive: true, force: true })
})

const open = (): ModelStore =>
  createModelStore({
    home: homeAt(join(folder, 'home')),
    huggingFace: { endpoint: server.origin, stallMs: 1000 },
    log: silentLog,
    folders: [join(folder, 'extra')],
    demoPath: join(folder, 'demo', 'holon-demo.gguf'),
  })

async function put(path: string, bytes: Uint8Array): Promise<void> {
  await mkdir(join(folder, path, '..'), { recursive: true })
  await writeFile(join(folder, path), bytes)
}

function llama(extra: Record<string, string | number | boolean> = {}): Uint8Array {
  return writeGguf({
    metadata: {
      'general.architecture': 'llama',
      'general.name': 'Tiny',
      'general.file_type': 15,
      'llama.block_count': 2,
      'llama.embedding_length': 64,
      'llama.attention.head_count': 4,
      'llama.attention.head_count_kv': 2,
      'llama.context_length': 4096,
      ...extra,
    },
    tensors: [{ name: 'token_embd.weight', shape: [64, 10], type: 'F16' }],
  })
}
const listed = async () => (await store.list()).map(({ info }) => info)
const byId = async (id: string) => (await listed()).find((info) => info.id === id)

it('describes a model from its header', async () => {
  await put('home/models/hf/o/r/M-Q4_K_M.gguf', llama())
  const [info] = await listed()
  expect(modelInfo.parse(info)).toEqual({
    id: 'M-Q4_K_M',
    path: join(folder, 'home/models/hf/o/r/M-Q4_K_M.gguf'),
    source: 'o/r/M-Q4_K_M.gguf',
    format: 'gguf',
    architecture: 'llama',
    name: 'Tiny',
    naming: {
      name: 'Tiny',
      basename: null,
      sizeLabel: null,
      finetune: null,
      version: null,
      baseModels: [],
    },
    weightsId: expect.stringMatching(/^gguf-[0-9a-f]{24}$/),
    quant: 'Q4_K_M',
    paramsTotal: 640,
    sizeBytes: llama().length,
    contextMax: 4096,
    embedding: false,
    demo: false,
    problem: null,
  })
  const { shape } = await store.find('m-q4_k_m')
  expect(shape).toMatchObject({ weightBytes: 1280 })
  // Two layers, two KV heads of 16, keys and values of 16 bits.
  expect(shape?.cacheBytes(100, 2)).toBe(2 * 100 * 2 * 2 * 32 * 2)
})

it('lists the shipped demonstration model last, and the models of the folders it was given', async () => {
  await put('extra/deep/er/E.gguf', llama())
  expect((await listed()).map(({ id, demo }) => [id, demo])).toEqual([
    ['E', false],
    ['holon-demo', true],
  ])
})

it('lists a broken file with its problem instead of hiding it', async () => {
  await put('home/models/a/Cut.gguf', llama().slice(0, 300))
  await put('home/models/a/Html.gguf', new TextEncoder().encode('<html>'))
  await put('home/models/a/Half-00002-of-00002.gguf', llama())
  await put('home/models/a/Vocabulary.gguf', writeGguf({ metadata: { 'general.architecture': 'llama' } }))
  expect((await byId('Cut'))?.problem).toMatch(/ends inside|cut short/)
  expect((await byId('Html'))?.problem).toMatch(/does not start with "GGUF"/)
  expect((await byId('Half'))?.problem).toMatch(/1 of them are not there: Half-00001-of-00002\.gguf/)
  expect((await byId('Vocabulary'))?.problem).toMatch(/no weights/)
})

it('knows embedding models, and leaves out files that are parts of models', async () => {
  await put('extra/Embed.gguf', llama({ 'llama.pooling_type': 3 }))
  await put('extra/lora.gguf', llama({ 'general.type': 'adapter' }))
  expect((await byId('Embed'))?.embedding).toBe(true)
  expect(await byId('lora')).toBeUndefined()
})

it('sees a file that changed, came or went, without a restart', async () => {
  await put('extra/A.gguf', llama().slice(0, 100))
  expect((await byId('A'))?.problem).not.toBeNull()
  await put('extra/A.gguf', llama())
  expect((await byId('A'))?.problem).toBeNull()
  await rm(join(folder, 'extra/A.gguf'))
  expect(await byId('A')).toBeUndefined()
})

it('keeps names over a restart, whatever is added', async () => {
  await put('home/models/hf/zoe/r/M.gguf', llama())
  expect(await byId('M')).toBeDefined()
  await put('home/models/hf/amy/r/M.gguf', llama())
  store = open()
  expect((await byId('M'))?.path).toContain('zoe')
  expect((await byId('M-amy'))?.path).toContain('amy')
})

it('pulls a model, names it, and removes it without leaving anything behind', async () => {
  server.files.set('/o/r/resolve/main/P-Q8_0.gguf', llama())
  const pulled = await store.pull('o/r', { signal: new AbortController().signal })
  expect(pulled).toMatchObject({ id: 'P-Q8_0', alreadyHere: false })
  expect((await byId('P-Q8_0'))?.source).toBe('o/r/P-Q8_0.gguf')
  expect(await store.remove('P-Q8_0')).toEqual({ freedBytes: llama().length })
  await expect(stat(join(folder, 'home/models/hf'))).rejects.toThrow()
  expect(await readFile(join(folder, 'home/models/ids.json'), 'utf8')).not.toContain('P-Q8_0')
  await expect(store.find('P-Q8_0')).rejects.toMatchObject({ code: 'model_not_found' })
})

it('deletes nothing that it does not own', async () => {
  await put('extra/E.gguf', llama())
  await expect(store.remove('E')).rejects.toMatchObject({
    code: 'usage',
    message: expect.stringMatching(/only reads/),
  })
  await expect(store.remove('holon-demo')).rejects.toThrow('ships with Holon')
  expect(await byId('E')).toBeDefined()
})

it('reads HOLON_MODELS_DIR', () => {
  expect(modelFoldersFromEnv({})).toEqual([])
  expect(modelFoldersFromEnv({ HOLON_MODELS_DIR: '/a' })).toEqual(['/a'])
})
