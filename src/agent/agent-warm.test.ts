import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { fakeDriver } from '../../test/fakes/fake-driver.ts'
import { AgentStand } from '../../test/support/agent-stand.ts'
import { eventually } from '../../test/support/cli.ts'
import type { Agent } from './agent.ts'

/** What an agent keeps in memory and remembers, over real processes and real restarts. */
let stand: AgentStand
beforeEach(() => {
  stand = new AgentStand()
  for (const name of ['A', 'B']) stand.put(name)
})
afterEach(() => stand.end())

const running = (agent: Agent): string[] =>
  agent.ps().flatMap(({ id, state }) => (state === 'ready' ? [id] : []))
const until = (agent: Agent, ...models: string[]): Promise<void> =>
  eventually(`${models.join(', ')} to be in memory`, () => running(agent).sort().join() === models.join())
const modelOf = (agent: Agent, id: string) => agent.state().models.find((model) => model.id === id)
const answer = { promptTokens: 90, cachedTokens: 0, completionTokens: 30, prefillTokS: 120, decodeTokS: 33 }

it('loads what is to be preloaded without being asked, and keeps it', async () => {
  const agent = await stand.start([fakeDriver()], { preload: ['B'], idleUnloadS: 0.1 })
  await until(agent, 'B')
  expect(agent.ps()[0]).toMatchObject({ id: 'B', kept: true })
})

it('keeps a model over a restart, until it is unloaded', async () => {
  const first = await stand.start([fakeDriver()])
  await first.load('A', { keep: true })
  expect(first.ps()[0]?.kept).toBe(true)
  await first.close()
  const second = await stand.start([fakeDriver()])
  await until(second, 'A')
  await second.unload('A')
  await second.close()
  const third = await stand.start([fakeDriver()])
  await third.refresh()
  expect(third.ps()).toEqual([])
})

it('tells how long a model takes to load and how fast it answers, from before the restart too', async () => {
  const first = await stand.start([fakeDriver()])
  expect(modelOf(first, 'A')).toMatchObject({ measuredLoadS: null, measuredDecodeTokS: null })
  const lease = await first.acquire('A', { signal: new AbortController().signal })
  lease.release(answer)
  await first.close()
  const second = await stand.start([fakeDriver()])
  expect(modelOf(second, 'A')).toMatchObject({
    measuredPrefillTokS: 120,
    measuredDecodeTokS: 33,
    state: 'disk',
  })
  expect(modelOf(second, 'A')?.measuredLoadS).toBeGreaterThan(0)
})

it('takes a damaged book for an empty one, and writes a good one', async () => {
  const path = join(stand.folder, 'warm.json')
  writeFileSync(path, '{"kept":["A"],"models":{"A":{"uses":"many"}}}')
  const agent = await stand.start([fakeDriver()])
  expect(agent.ps()).toEqual([])
  await agent.load('B', { keep: true })
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ kept: ['B'], models: { B: { uses: 0 } } })
})

it('into free memory only: says no and lets nothing leave', async () => {
  const agent = await stand.start([fakeDriver()], { memoryBudgetBytes: () => 150e6 })
  await agent.load('A', {})
  await expect(agent.load('B', { ifRoom: true })).rejects.toMatchObject({ code: 'overloaded' })
  expect(running(agent)).toEqual(['A'])
})
