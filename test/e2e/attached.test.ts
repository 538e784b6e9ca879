import { afterEach, expect, test } from 'vitest'
import { startFake } from '../engines/attached-stand.ts'
import { eventually, runCli, startCli } from '../support/cli.ts'
import { makeTestHome } from '../support/home.ts'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

test('`holon up` serves an engine that was already there, lists it with its engine, and leaves it running', async () => {
  const fake = await startFake('fake-engine.mjs', '--model', 'a', '--secret', 'sesame')
  open.push(fake.stop)
  const home = makeTestHome()
  open.push(home.remove)
  const env = {
    HOLON_HOME: home.root,
    HOLON_PORT: '0',
    HOLON_ENGINE: 'openai',
    HOLON_ENGINE_URL: fake.url,
    HOLON_ENGINE_MODELS: 'a,b',
    HOLON_ENGINE_KEY: 'sesame',
    HOLON_MEMORY_BUDGET_MB: '262144',
  }
  const up = startCli(['up', '--no-open'], env)
  open.push(() => up.child.kill('SIGKILL'))
  const [, url] = await up.until(/is up at (http:\S+)/)
  await up.until(/Models: .*a \(openai\), b \(openai\)/)
  const nodes = (await (await fetch(`${url}/fleet/v1/nodes`)).json()) as {
    nodes: { engines: string[]; models: { id: string; engine?: string }[]; memory: { budgetBytes: number } }[]
  }
  expect(nodes.nodes[0]?.engines).toContain('openai')
  expect(nodes.nodes[0]?.memory.budgetBytes).toBe(262_144 * 1024 * 1024)
  const models = nodes.nodes[0]!.models.filter(({ engine }) => engine === 'openai')
  expect(models.map(({ id }) => id)).toEqual(['a', 'b'])
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'a', messages: [{ role: 'user', content: 'hi' }], max_tokens: 2 }),
  })
  expect(await response.json()).toMatchObject({
    model: 'a',
    choices: [{ message: { content: 'word0 word1' } }],
  })
  const listed = await runCli(['models'], env)
  expect(listed.stdout).toContain('a (openai)')
  // The key is the engine's and appears nowhere.
  expect(JSON.stringify(nodes) + listed.stdout + up.output().stdout + up.output().stderr).not.toContain(
    'sesame',
  )
  up.child.kill('SIGTERM')
  expect(await up.finished).toMatchObject({ code: 0 })
  await eventually('the engine to answer still', async () => (await fetch(`${fake.url}/health`)).ok)
})

test('a wrong address is refused at the start, with what to do', async () => {
  const home = makeTestHome()
  open.push(home.remove)
  const env = { HOLON_HOME: home.root, HOLON_ENGINE: 'openai', HOLON_ENGINE_URL: 'http://127.0.0.1:4656/v1' }
  const { code, stderr } = await runCli(['up', '--no-open'], env)
  expect(code).not.toBe(0)
  expect(stderr).toContain('is Holon itself')
  expect(stderr).toContain('hint')
})
