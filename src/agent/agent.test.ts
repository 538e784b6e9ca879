import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type FakeDriver, fakeDriver } from '../../test/fakes/fake-driver.ts'
import { AgentStand } from '../../test/support/agent-stand.ts'
import { HolonError } from '../core/errors.ts'
import { silentLog } from '../core/log.ts'
import type { EngineDriver } from '../engines/engine.ts'
import { nodeState } from '../protocol/node.ts'
import type { Agent, AgentOptions } from './agent.ts'

let stand: AgentStand
let folder: string
beforeEach(() => {
  stand = new AgentStand()
  folder = stand.folder
  for (const name of ['A', 'B']) stand.put(name)
})
afterEach(() => stand.end())

const start = (drivers: EngineDriver[], more: Partial<AgentOptions> = {}): Promise<Agent> =>
  stand.start(drivers, more)
const never = new AbortController().signal
const acquire = (agent: Agent, model: string) => agent.acquire(model, { signal: never })
const stateOf = (agent: Agent, model: string) => agent.state().models.find(({ id }) => id === model)?.state
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 10))
}

/** One answer from the engine behind a lease. */
async function ask(
  lease: { origin: string; headers: Readonly<Record<string, string>> },
  text = 'hello',
): Promise<string> {
  const response = await fetch(`${lease.origin}/v1/chat/completions`, {
    method: 'POST',
    headers: { ...lease.headers, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'A', stream: true, messages: [{ role: 'user', content: text }] }),
  })
  return response.text()
}

it('loads a model on demand, once for all who ask, and holds it while they answer', async () => {
  const driver = fakeDriver()
  const agent = await start([driver])
  expect(stateOf(agent, 'A')).toBe('disk')
  const phases: string[] = []
  const [one, two] = await Promise.all([
    agent.acquire('A', { signal: never, onProgress: ({ phase }) => phases.push(phase) }),
    acquire(agent, 'a'),
  ])
  expect(driver.launches.length).toBe(1)
  expect(phases).toContain('reading weights')
  expect(one).toMatchObject({ model: 'A', engine: 'fake', origin: two.origin, parallel: 4 })
  expect(await ask(one)).toContain('word2')
  one.release({ promptTokens: 5, cachedTokens: 0, completionTokens: 3, prefillTokS: 120, decodeTokS: 33 })
  two.release()
  expect(agent.ps()).toMatchObject([
    {
      id: 'A',
      engine: 'fake',
      state: 'ready',
      contextTokens: 4096,
      active: 0,
      decodeTokS: 33,
      prefillTokS: 120,
    },
  ])
  await until(() => (agent.ps()[0]?.memoryBytes ?? 0) > 10e6)
  expect(() => nodeState.parse(agent.state())).not.toThrow()
})

it('writes what the engine says to a log of its own', async () => {
  const agent = await start([fakeDriver()])
  ;(await acquire(agent, 'A')).release()
  await agent.unload('A')
  expect(agent.ps()).toEqual([])
  await agent.close()
  const log = await readFile(join(folder, 'logs', 'fake-A.log'), 'utf8')
  expect(log).toMatch(/--- Fake engine, .*A\.gguf, context 4096 x 4/)
  expect(log).toMatch(/"port":\d+/)
  expect(log).toContain('--- The engine was stopped.')
})

it('tells the holder when the engine dies, and restarts it', async () => {
  const agent = await start([fakeDriver()])
  const lease = await acquire(agent, 'A')
  const pid = agent.ps()[0]!.pid!
  void ask(lease, 'fault:crash-mid-stream').catch(() => undefined)
  expect(await lease.died).toMatch(/SIGKILL|killed/i)
  lease.release()
  const again = await acquire(agent, 'A')
  expect(await ask(again)).toContain('word2')
  expect(agent.ps()[0]?.pid).not.toBe(pid)
  expect(isAlive(pid)).toBe(false)
})

it('makes room by ending an idle model, and refuses what can never fit', async () => {
  const driver = fakeDriver()
  let budget = 150e6
  const agent = await start([driver], { memoryBudgetBytes: () => budget })
  ;(await acquire(agent, 'A')).release()
  const pid = agent.ps()[0]!.pid!
  const lease = await acquire(agent, 'B')
  expect(isAlive(pid)).toBe(false)
  expect(agent.ps().map(({ id }) => id)).toEqual(['B'])
  lease.release()
  budget = 10e6
  await expect(acquire(agent, 'A')).rejects.toMatchObject({
    code: 'model_too_big',
    message: expect.stringMatching(/10\.0 MB/),
  })
  expect(stateOf(agent, 'A')).toBe('failed')
})

it('lets one caller give up without harm to the others', async () => {
  const driver = fakeDriver({ args: ['--start-ms', '150'] })
  const agent = await start([driver])
  const leaver = new AbortController()
  const first = agent.acquire('A', { signal: leaver.signal })
  const second = acquire(agent, 'A')
  await until(() => driver.launches.length === 1)
  leaver.abort(new Error('client gone'))
  await expect(first).rejects.toThrow('client gone')
  ;(await second).release()
  expect(driver.launches.length).toBe(1)
})

it('reports why a load failed, and tries again when asked again', async () => {
  const driver = fakeDriver({ args: ['--fault', 'exit-at-start'] })
  const agent = await start([driver])
  await expect(acquire(agent, 'A')).rejects.toMatchObject({ code: 'model_load_failed' })
  expect(agent.state().models[0]).toMatchObject({
    state: 'failed',
    failure: expect.stringMatching(/asked to fail/),
  })
  driver.args = []
  ;(await acquire(agent, 'A')).release()
  expect(stateOf(agent, 'A')).toBe('ready')
})

it('falls back to the next engine, and names both when none can', async () => {
  const broken = fakeDriver({ id: 'broken', args: ['--fault', 'exit-at-start'] })
  const good = fakeDriver({ id: 'good' })
  const warnings: string[] = []
  const log = { ...silentLog, warn: (_: object, message: string) => void warnings.push(message) }
  const agent = await start([broken, good], { log })
  const lease = await acquire(agent, 'A')
  expect(lease.engine).toBe('good')
  lease.release()
  expect(warnings.join()).toMatch(/broken could not load it/)
  good.args = broken.args
  await expect(acquire(agent, 'B')).rejects.toThrow(/asked to fail.*Also tried good: /)
})

it('prefers the engine it is told to, and loads with the one that is asked for', async () => {
  const drivers = [fakeDriver({ id: 'first' }), fakeDriver({ id: 'second' })]
  const agent = await start(drivers, { prefer: 'second' })
  const lease = await acquire(agent, 'A')
  expect(lease.engine).toBe('second')
  lease.release()
  await agent.load('A', { engine: 'first', contextTokens: 1024, parallel: 2 })
  expect(agent.ps()).toMatchObject([{ engine: 'first', contextTokens: 1024, parallel: 2 }])
  await expect(agent.load('A', { engine: 'third' })).rejects.toMatchObject({ code: 'engine_unavailable' })
  expect(agent.ps()).toMatchObject([{ engine: 'first', state: 'ready' }])
})

it('fetches only an engine that may be fetched, and only when none is here', async () => {
  const missing = (id: string): FakeDriver & { installed: boolean } => {
    const driver = Object.assign(fakeDriver({ id }), { installed: false })
    const detect = driver.detect
    driver.detect = async () => ({
      ...(await detect()),
      available: driver.installed,
      whyNot: `${id} is not here.`,
    })
    driver.install = async () => {
      driver.installed = true
    }
    return driver
  }
  const big = missing('big')
  const small = missing('small')
  const agent = await start([big, small], { fetchOnFirstUse: ['small'] })
  expect(agent.state().engines).toEqual([])
  const lease = await acquire(agent, 'A')
  expect([lease.engine, big.installed]).toEqual(['small', false])
  lease.release()
  await expect(agent.load('B', { engine: 'big' })).rejects.toMatchObject({
    message: expect.stringMatching(/big is not here/),
  })
})

it('refuses a damaged file and an unknown name without starting anything', async () => {
  const driver = fakeDriver()
  await writeFile(join(folder, 'models', 'Bad.gguf'), 'garbage')
  const agent = await start([driver])
  await expect(acquire(agent, 'Bad')).rejects.toMatchObject({ code: 'model_file_invalid' })
  await expect(acquire(agent, 'None')).rejects.toMatchObject({ code: 'model_not_found' })
  expect(driver.launches.length).toBe(0)
})

it('finds a model that was pulled a moment ago by another process', async () => {
  const agent = await start([fakeDriver()])
  stand.put('New')
  ;(await acquire(agent, 'New')).release()
  expect(stateOf(agent, 'New')).toBe('ready')
})

it('tells its listeners about changes', async () => {
  const agent = await start([fakeDriver()])
  let calls = 0
  const stop = agent.subscribe(() => calls++)
  ;(await acquire(agent, 'A')).release()
  await until(() => calls > 0)
  stop()
})

it('ends every engine when it closes: idle, answering, starting, and deaf to SIGTERM', async () => {
  const driver = fakeDriver({ args: ['--fault', 'ignore-sigterm'] })
  const slow = fakeDriver({ id: 'slow', args: ['--start-ms', '60000'] })
  const agent = await start([driver, slow])
  await acquire(agent, 'A')
  const loading = agent.load('B', { engine: 'slow' }).catch((error) => error)
  await until(() => slow.launches.length === 1)
  const pid = agent.ps().find(({ id }) => id === 'A')!.pid!
  await agent.close()
  expect(await loading).toBeInstanceOf(HolonError)
  expect(isAlive(pid)).toBe(false)
  await expect(acquire(agent, 'A')).rejects.toMatchObject({ code: 'not_running' })
})
