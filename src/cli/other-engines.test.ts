import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EngineFound } from '../protocol/machine.ts'
import { resolveConfig } from './config.ts'
import { enginesOfOthers, type OtherEngine } from './other-engines.ts'

const root = mkdtempSync(join(tmpdir(), 'holon-others-'))
const server = createServer((_, response) => {
  response.setHeader('content-type', 'application/json')
  response.end('{"object":"list","data":[{"id":"big","owned_by":"someone"}]}')
})
let url = ''
beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  rmSync(root, { recursive: true, force: true })
  await new Promise((resolve) => server.close(resolve))
})

const anEngine = (id: string, at: string | null, more: Partial<EngineFound> = {}): EngineFound => ({
  ...{
    id,
    available: at !== null,
    version: null,
    path: null,
    url: at,
    models: ['m'],
    whyNot: null,
    hint: null,
  },
  ...more,
})
const look = (env: Record<string, string>, ...found: EngineFound[]): Promise<OtherEngine[]> => {
  const all = { HOLON_HOME: root, ...env }
  return enginesOfOthers(resolveConfig(all), all, async () => found)
}

test('an engine that was named is asked itself, and listed as offered with its models', async () => {
  const listed = await look({ HOLON_ATTACH: `openai@${url}` }, anEngine('vllm', url))
  expect(listed).toMatchObject(
    [{ id: 'openai', state: 'running', offered: true, url, models: ['big'], because: /you named it/ }].map(
      ({ because, ...rest }) => ({ ...rest, because: expect.stringMatching(because) }),
    ),
  )
})

test('one that was named and does not answer says why, and what to do', async () => {
  const [engine] = await look({ HOLON_ENGINE: 'openai', HOLON_ENGINE_URL: 'http://127.0.0.1:9' })
  expect(engine).toMatchObject({ state: 'not answering', offered: true, available: false })
  expect(engine?.whyNot).toMatch(/does not answer/)
  expect(engine?.hint).toMatch(/Start it/)
})

test('one that was only found is listed with the setting that would offer it', async () => {
  const off = { HOLON_ATTACH: 'off' }
  const because = async (engine: EngineFound) => (await look(off, engine))[0]?.because
  expect(await because(anEngine('vllm', 'http://127.0.0.1:8000'))).toContain('HOLON_ATTACH=vllm offers')
  expect(await because(anEngine('vllm', 'http://127.0.0.1:9000'))).toContain(
    'HOLON_ATTACH=vllm@http://127.0.0.1:9000 offers',
  )
  expect(await because(anEngine('lmstudio', 'http://127.0.0.1:1234'))).toContain(
    'HOLON_ATTACH=lm-studio offers',
  )
  expect(await because(anEngine('llama-server', 'http://127.0.0.1:8080'))).toContain(
    'HOLON_ATTACH=openai@http://127.0.0.1:8080 offers',
  )
  expect(await because(anEngine('llama-router', 'http://127.0.0.1:8080'))).toContain(
    'HOLON_ATTACH=llama-router offers',
  )
})

test('one that is installed but does not run is told apart; Holon’s own llama-server is not listed twice', async () => {
  const listed = await look(
    { HOLON_ATTACH: 'off' },
    anEngine('ollama', null, { path: '/usr/bin/ollama', whyNot: 'It is installed but not running.' }),
    anEngine('llama-server', null, { path: '/usr/bin/llama-server' }),
  )
  expect(listed).toMatchObject([{ id: 'ollama', state: 'installed', offered: false }])
})
