import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { attachSource } from './attach.ts'
import { resolveConfig } from './config.ts'

const root = mkdtempSync(join(tmpdir(), 'holon-attach-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const sourceOf = (env: Record<string, string>) => {
  const all = { HOLON_HOME: root, ...env }
  return attachSource(resolveConfig(all), all)
}

describe('which engines that are already there a node offers', () => {
  test('the one that was named, with its models and its key, and no other', async () => {
    const source = sourceOf({
      HOLON_ENGINE: 'openai',
      HOLON_ENGINE_URL: 'http://127.0.0.1:8000/v1',
      HOLON_ENGINE_MODELS: 'a, b,a',
      HOLON_ENGINE_KEY: 'k',
      HOLON_ENGINE_PARALLEL: '3',
    })
    const [attachment, ...others] = await source.find()
    expect(others).toEqual([])
    expect(attachment).toMatchObject({ explicit: true, named: ['a', 'b'] })
    expect(attachment?.engine).toMatchObject({ id: 'openai', url: 'http://127.0.0.1:8000', parallel: 3 })
    expect(attachment?.engine.headers).toEqual({ authorization: 'Bearer k' })
  })

  test.each([
    ['ollama', {}, 'http://127.0.0.1:11434'],
    ['ollama', { OLLAMA_HOST: '0.0.0.0' }, 'http://127.0.0.1:11434'],
    ['ollama', { OLLAMA_HOST: 'box:7000' }, 'http://box:7000'],
    ['LMStudio', {}, 'http://127.0.0.1:1234'],
    ['mlx', {}, 'http://127.0.0.1:8080'],
    ['vllm', { HOLON_ENGINE_URL: 'https://gpu.lan/llm' }, 'https://gpu.lan/llm'],
    ['exo', {}, 'http://127.0.0.1:52415'],
    ['llama-router', {}, 'http://127.0.0.1:8080'],
  ])('%s with %o is at %s', async (name, env, url) => {
    const [attachment] = await sourceOf({ HOLON_ENGINE: name, ...(env as Record<string, string>) }).find()
    expect(attachment?.engine.url).toBe(url)
  })

  test('several side by side, each at its place', async () => {
    const source = sourceOf({ HOLON_ATTACH: 'ollama, vllm@http://127.0.0.1:8001/v1,openai@http://gpu:9' })
    const found = await source.find()
    expect(found.map(({ engine }) => `${engine.id} ${engine.url}`)).toEqual([
      'ollama http://127.0.0.1:11434',
      'vllm http://127.0.0.1:8001',
      'openai http://gpu:9',
    ])
    expect(found.every(({ explicit }) => explicit)).toBe(true)
    const both = await sourceOf({ HOLON_ENGINE: 'mlx', HOLON_ATTACH: 'ollama' }).find()
    expect(both.map(({ engine }) => engine.id)).toEqual(['mlx', 'ollama'])
  })

  test('those of holon.toml, with models of each and keys that stay in the environment', async () => {
    const file = join(root, 'holon.toml')
    writeFileSync(
      file,
      '[[attach]]\nengine = "openai"\nurl = "http://127.0.0.1:9"\nmodels = ["a"]\nkey_env = "GPU_KEY"\nparallel = 2\n',
    )
    const [attachment] = await sourceOf({ GPU_KEY: 'k' }).find()
    expect(attachment).toMatchObject({ explicit: true, named: ['a'] })
    expect(attachment?.engine).toMatchObject({ url: 'http://127.0.0.1:9', parallel: 2 })
    expect(attachment?.engine.headers).toEqual({ authorization: 'Bearer k' })
    expect(() => sourceOf({})).toThrow('GPU_KEY')
    rmSync(file)
  })

  test('none when it is turned off, and none beside an engine of its own that was chosen', async () => {
    expect(await sourceOf({ HOLON_ATTACH: 'off' }).find()).toEqual([])
    expect(await sourceOf({ HOLON_ENGINE: 'embedded' }).find()).toEqual([])
  })

  test.each([
    [{ HOLON_ENGINE: 'openai' }, 'needs an address'],
    [{ HOLON_ENGINE: 'openai', HOLON_ENGINE_URL: 'http://localhost:4656/v1' }, 'is Holon itself'],
    [
      { HOLON_ENGINE: 'openai', HOLON_ENGINE_URL: 'http://hub.lan:9', HOLON_HUB: 'http://hub.lan:9' },
      'is Holon itself',
    ],
    [{ HOLON_ENGINE_URL: 'http://127.0.0.1:8000' }, 'names no engine'],
    [{ HOLON_ENGINE_MODELS: 'a' }, 'names no engine'],
    [{ HOLON_ATTACH: 'maybe' }, 'no engine "maybe"'],
    [{ HOLON_ATTACH: 'ollama,openai' }, 'openai needs an address'],
    [{ HOLON_ATTACH: 'vllm@http://127.0.0.1:4656' }, 'is Holon itself'],
    [{ HOLON_ATTACH: 'my engine' }, 'names no engine'],
  ])('%o is refused', (env, why) => {
    expect(() => sourceOf(env as Record<string, string>)).toThrow(why)
  })
})
