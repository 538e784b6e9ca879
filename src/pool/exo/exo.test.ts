/** Against the fake exo, a real program with exo's documented shapes and faults (test/fakes/fake-exo.mjs). */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Program, startFake } from '../../../test/engines/attached-stand.ts'
import { groupSpecs, memberHost, type PoolGroup, startGroup } from '../../../test/support/pool-group.ts'
import { attachExo } from '../../engines/exo/index.ts'
import type { MemberHost, PoolPlan } from '../pool-engine.ts'
import { exoPool } from './index.ts'
import { choosePreview, troubleOf } from './place.ts'

const model = 'mlx-community/Qwen3-30B-A3B-4bit'
const folder = mkdtempSync(join(tmpdir(), 'holon-pool-exo-'))
let exo: Program
let host: MemberHost
const ends: (() => Promise<void>)[] = []

async function fake(...args: string[]): Promise<void> {
  exo = await startFake('fake-exo.mjs', ...args)
  ends.push(exo.stop)
  host = memberHost(folder, {
    attached: () => [attachExo({ url: exo.url, headers: {}, models: [], parallel: null })],
  })
}
beforeEach(() => fake())
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  rmSync(folder, { recursive: true, force: true })
})

async function plan(over: Partial<PoolPlan> = {}): Promise<PoolPlan> {
  const facts = await exoPool.inspect(host, model)
  const members = [{ node: 'mac', layers: 48, share: 1, limitBytes: 1e11, facts }]
  return { model, strategy: 'tensor', contextTokens: 8192, parallel: 1, members, ...over }
}

async function start(over: Partial<PoolPlan> = {}): Promise<PoolGroup> {
  const settings = exoPool.layout(await plan(over))
  const specs = groupSpecs(exoPool, { model: over.model ?? model, settings, hosts: [null] })
  const group = await startGroup(exoPool, specs, () => host)
  ends.push(group.stop)
  return group
}

async function instances(): Promise<string[]> {
  return Object.keys((await (await fetch(`${exo.url}/state/instances`)).json()) as object)
}

const ask = (content: string, more: object = {}) => ({ messages: [{ role: 'user', content }], ...more })

async function drained(response: Response): Promise<string> {
  return response.text()
}

test('brings the memory of its live machines together, and not that of one that is gone', async () => {
  const facts = await exoPool.inspect(host, model)
  expect(facts).toMatchObject({ whyNot: null, modelPath: model, devices: ['a', 'b'] })
  expect(facts.memory).toEqual({ budgetBytes: 128e9, usedBytes: 58e9 })
})

test('without exo it says so and what to do', async () => {
  await exo.stop()
  expect((await exoPool.inspect(host, model)).whyNot).toMatch(/does not answer.*Open the EXO app/)
})

test('places the tensor split over RDMA, serves, and takes the instance away at the end', async () => {
  const group = await start()
  expect(await instances()).toEqual(['rdma'])
  const answer = (await (await group.chat(ask('Hello'))).json()) as { choices: { message: object }[] }
  expect(answer.choices[0]?.message).toMatchObject({ content: 'word0 word1 word2 word3 word4 word5' })
  await group.stop()
  expect(await instances()).toEqual([])
})

test('places the pipeline on the fewest machines', async () => {
  await start({ strategy: 'pipeline' })
  expect(await instances()).toEqual(['one'])
})

test('a runner that fails while it loads is told with its words, and no instance stays', async () => {
  await fake('--fault', 'runner-failed')
  await expect(start()).rejects.toMatchObject({
    code: 'model_load_failed',
    message: expect.stringContaining('Metal ran out of memory'),
  })
  expect(await instances()).toEqual([])
})

test('a model for which there is no room is refused with exo’s reason', async () => {
  await expect(start({ model: 'mlx-community/DeepSeek-V3.1-8bit' })).rejects.toMatchObject({
    code: 'pool_impossible',
    message: expect.stringContaining('No cycles found with sufficient memory'),
  })
})

describe.each([
  ['machine-gone', /A machine of exo is gone \(b\)/],
  ['runner-dies', /A runner of exo failed: RDMA peer lost/],
])('%s while it answers', (fault, reason) => {
  test('ends the pool although exo keeps the instance and the stream open', async () => {
    const group = await start()
    const response = await group.chat(ask(`fault:${fault}`, { stream: true }))
    await expect(drained(response)).rejects.toThrow()
    expect(await group.over).toMatch(reason)
    expect(await instances()).toEqual([])
  })
})

test('an answer without a finish reason is broken, not whole', async () => {
  const group = await start()
  await expect(drained(await group.chat(ask('fault:vanish', { stream: true })))).rejects.toThrow()
  expect((await group.chat(ask('fault:vanish'))).status).toBe(502)
})

test('exo going away altogether ends the pool', async () => {
  const group = await start()
  await exo.stop()
  expect(await group.over).toMatch(/does not answer/)
})

test('more than one member is refused: exo finds its machines itself', async () => {
  const one = await plan()
  const two = { ...one, members: [one.members[0]!, one.members[0]!] }
  expect(() => exoPool.layout(two)).toThrow(/one member, and 2 were named/)
})

test('of two placements on as few machines the one over RDMA is taken', () => {
  const offer = (meta: string, nodes: number) => ({
    sharding: 'Tensor',
    instance_meta: meta,
    instance: { [meta]: {} },
    error: null,
    memory_delta_by_node: Object.fromEntries(Array.from({ length: nodes }, (_, at) => [at, 1])),
  })
  const previews = [offer('MlxRing', 2), offer('MlxJaccl', 4), offer('MlxJaccl', 2)]
  expect(choosePreview(previews, { sharding: 'Tensor' }, 'x')).toBe(previews[2])
  expect(() => choosePreview(previews, { sharding: 'Pipeline' }, 'x')).toThrow(/it offers no such split/)
})

test('a machine that leaves exo matters to what is placed on it, and to nothing else', () => {
  const ready = { state: 'RunnerReady', message: null, layers: null, ofLayers: null }
  const state = {
    instances: [{ id: 'one', model, runners: ['r'], nodes: ['a'] }],
    runners: new Map([['r', ready]]),
  }
  expect(troubleOf('one', ['a'], state)).toBeNull()
  expect(troubleOf('one', ['b'], state)).toBe('A machine of exo is gone (a).')
})
