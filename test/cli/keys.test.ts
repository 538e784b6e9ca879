/** `holon keys` as its owner uses it: real processes, the real database, the demonstration model. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'
import { TestFleet, type TestHub } from '../support/fleet.ts'

const fleet = new TestFleet()
let hub: TestHub
beforeAll(async () => {
  hub = await fleet.hub()
}, 120_000)
afterAll(() => fleet.end(), 60_000)

const holon = (...args: string[]) => runCli(args, hub.env)

test('a key is made, used, shown, counted, revoked and forgotten', async () => {
  expect((await holon('keys')).stdout).toContain('There is no key.')
  const made = await holon(
    'keys',
    'create',
    'laptop',
    '--models',
    'holon-*',
    '--requests-per-minute',
    '60',
    '--expires',
    '30d',
  )
  expect(made.code).toBe(0)
  const key = made.stdout.trim()
  expect(key).toMatch(/^hk_[\w-]{43}$/)
  expect(made.stderr).toContain('nobody can show it again')
  expect(made.stderr).toContain('holon-*')
  expect(made.stderr).toContain('From now on this hub answers nobody without a key')

  const ask = (headers: Record<string, string>) =>
    fetch(`${hub.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify({ model: 'holon-demo', messages: [{ role: 'user', content: 'What is Holon?' }] }),
    })
  expect((await ask({})).status).toBe(401)
  expect((await ask({ authorization: `Bearer ${key}` })).status).toBe(200)

  // Its holder sees what is there, without the requests of others.
  const asHolder = { ...hub.env, HOLON_API_KEY: key }
  const status = await runCli(['status'], asHolder)
  expect([status.code, status.stderr]).toEqual([0, ''])
  const inMemory = await runCli(['ps', '--json'], asHolder)
  expect(JSON.parse(inMemory.stdout)).toMatchObject({ models: [{ id: 'holon-demo' }], queue: null })

  const shown = await holon('keys', 'show', 'laptop')
  expect(shown.stdout).toMatch(/limits\s+60 requests\/min/)
  expect(shown.stdout).toMatch(/by the owner at/)
  expect(shown.stdout).not.toContain(key)
  expect((await holon('keys')).stdout).toContain('laptop')
  const usage = JSON.parse((await holon('keys', 'usage', '--json')).stdout) as {
    usage: { label: string; requests: number }[]
  }
  expect(usage.usage.find(({ label }) => label === 'laptop')?.requests).toBe(1)

  // Commands on another machine need a key, and one that may manage.
  const elsewhere = (apiKey?: string) =>
    runCli(['nodes'], {
      HOLON_HOME: fleet.home(),
      HOLON_HUB: hub.url,
      ...(apiKey ? { HOLON_API_KEY: apiKey } : {}),
    })
  const stranger = await elsewhere()
  expect([stranger.code, stranger.stderr]).toEqual([1, expect.stringContaining('Set HOLON_API_KEY')])
  expect((await elsewhere(key)).stderr).toContain('that takes an admin key')

  expect((await holon('keys', 'revoke', 'laptop')).stdout).toContain('The key laptop is revoked.')
  expect((await ask({ authorization: `Bearer ${key}` })).status).toBe(401)
  const again = await holon('keys', 'revoke', 'laptop')
  expect([again.code, again.stderr]).toEqual([2, expect.stringContaining('was revoked before')])
  expect((await holon('keys', 'audit')).stdout).toMatch(/key\.revoked[\s\S]*key\.created/)
  expect((await holon('keys', 'forget', 'laptop')).stderr).toContain('It was the last one')
  expect((await ask({})).status).toBe(200)
}, 120_000)

test.each([
  [['keys', 'create'], '`holon keys create` needs <label>, which is missing.'],
  [['keys', 'create', 'x', '--expires', 'soon'], 'no span such as'],
  [['keys', 'create', 'x', '--requests-per-minute', '0'], 'whole number'],
  [['keys', 'create', 'x', '--lanes', 'fast'], 'lanes'],
  [['keys', 'show', 'nobody'], 'There is no key "nobody"'],
  [['keys', 'revoke', 'nobody'], 'There is no key "nobody"'],
])('%j is refused with a sentence', async (args, said) => {
  const result = await holon(...args)
  expect(result.code).not.toBe(0)
  expect(result.stderr).toContain(said)
  expect(result.stderr).not.toContain('    at ')
})

test('ps and status tell of the queue', async () => {
  expect((await holon('status')).stdout).toContain('0 being answered, 0 waiting')
  expect(JSON.parse((await holon('ps', '--json')).stdout)).toHaveProperty('queue')
})
