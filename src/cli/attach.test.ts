import { mkdtempSync, rmSync } from 'node:fs'
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
    expect(source).toMatchObject({ explicit: true, named: ['a', 'b'] })
    const [engine, ...others] = await source.find()
    expect(others).toEqual([])
    expect(engine).toMatchObject({ id: 'openai', url: 'http://127.0.0.1:8000', parallel: 3 })
    expect(engine?.headers).toEqual({ authorization: 'Bearer k' })
  })

  test.each([
    ['ollama', {}, 'http://127.0.0.1:11434'],
    ['ollama', { OLLAMA_HOST: '0.0.0.0' }, 'http://127.0.0.1:11434'],
    ['ollama', { OLLAMA_HOST: 'box:7000' }, 'http://box:7000'],
    ['LMStudio', {}, 'http://127.0.0.1:1234'],
    ['mlx', {}, 'http://127.0.0.1:8080'],
    ['vllm', { HOLON_ENGINE_URL: 'https://gpu.lan/llm' }, 'https://gpu.lan/llm'],
    ['exo', {}, 'http://127.0.0.1:52415'],
  ])('%s with %o is at %s', async (name, env, url) => {
    const [engine] = await sourceOf({ HOLON_ENGINE: name, ...(env as Record<string, string>) }).find()
    expect(engine?.url).toBe(url)
  })

  test('none when it is turned off, and none beside an engine of its own that was chosen', async () => {
    expect(await sourceOf({ HOLON_ATTACH: 'off' }).find()).toEqual([])
    expect(await sourceOf({ HOLON_ENGINE: 'embedded' }).find()).toEqual([])
  })

  test.each([
    [{ HOLON_ENGINE: 'openai' }, 'needs the address'],
    [{ HOLON_ENGINE: 'openai', HOLON_ENGINE_URL: 'http://localhost:4656/v1' }, 'is Holon itself'],
    [
      { HOLON_ENGINE: 'openai', HOLON_ENGINE_URL: 'http://hub.lan:9', HOLON_HUB: 'http://hub.lan:9' },
      'is Holon itself',
    ],
    [{ HOLON_ENGINE_URL: 'http://127.0.0.1:8000' }, 'names no engine'],
    [{ HOLON_ENGINE_MODELS: 'a' }, 'names no engine'],
    [{ HOLON_ATTACH: 'maybe' }, 'must be on or off'],
  ])('%o is refused', (env, why) => {
    expect(() => sourceOf(env as Record<string, string>)).toThrow(why)
  })
})
