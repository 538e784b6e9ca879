/** A cluster that is already there, as a real program: the fake vLLM behind its OpenAI address. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Program, startFake } from '../../../test/engines/attached-stand.ts'
import { groupSpecs, memberHost, type PoolGroup, startGroup } from '../../../test/support/pool-group.ts'
import { attachOpenAi } from '../../engines/openai/index.ts'
import type { MemberHost } from '../pool-engine.ts'
import { attachedPool } from './index.ts'

const model = 'meta-llama/Llama-3.1-70B-Instruct'
const folder = mkdtempSync(join(tmpdir(), 'holon-pool-attached-'))
let cluster: Program
let host: MemberHost
const ends: (() => Promise<void>)[] = []

async function fake(...args: string[]): Promise<void> {
  cluster = await startFake('fake-vllm.mjs', ...args)
  ends.push(cluster.stop)
  host = memberHost(folder, {
    memory: () => ({ budgetBytes: 262_144 * 2 ** 20, usedBytes: 0 }),
    attached: () => [attachOpenAi({ url: cluster.url, headers: {}, models: [], parallel: 4 })],
  })
}
beforeEach(() => fake())
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
  rmSync(folder, { recursive: true, force: true })
})

async function start(): Promise<PoolGroup> {
  const facts = await attachedPool.inspect(host, model)
  const members = [{ node: 'gate', layers: 80, share: 1, limitBytes: 1e12, facts }]
  const settings = attachedPool.layout({
    model,
    strategy: 'tensor',
    contextTokens: 8192,
    parallel: 4,
    members,
  })
  const group = await startGroup(
    attachedPool,
    groupSpecs(attachedPool, { model, settings, hosts: [null] }),
    () => host,
  )
  ends.push(group.stop)
  return group
}

test('brings the memory that its owner declared', async () => {
  const facts = await attachedPool.inspect(host, model)
  expect(facts).toMatchObject({ whyNot: null, modelPath: model, memory: { budgetBytes: 262_144 * 2 ** 20 } })
})

test('serves what it is asked, several at once, and is left running at the end', async () => {
  const group = await start()
  expect(group.running[0]?.lease?.().parallel).toBe(4)
  const ask = { messages: [{ role: 'user', content: 'Hello' }] }
  const answers = await Promise.all([group.chat(ask), group.chat({ ...ask, stream: true })])
  expect(await answers[0]!.text()).toContain('word0 word1')
  expect(await answers[1]!.text()).toContain('[DONE]')
  await group.stop()
  expect((await fetch(`${cluster.url}/health`)).status).toBe(200)
})

test('one that lists the model and cannot answer is not started', async () => {
  await fake('--fault', 'silent-death')
  await expect(start()).rejects.toMatchObject({ message: expect.stringMatching(/cannot answer.*EngineCore/) })
})

test('its end is the pool’s end', async () => {
  const group = await start()
  await cluster.stop()
  expect(await group.over).toMatch(/does not answer/)
})

test('a node that is attached to nothing says what to do', async () => {
  const bare = memberHost(folder)
  expect((await attachedPool.inspect(bare, model)).whyNot).toMatch(/HOLON_ENGINE/)
})

test('a model that the server does not offer cannot be laid out', async () => {
  const facts = await attachedPool.inspect(host, 'other')
  const members = [{ node: 'gate', layers: 80, share: 1, limitBytes: 1e12, facts }]
  const plan = { model: 'other', strategy: 'tensor', contextTokens: 8192, parallel: 4, members } as const
  expect(() => attachedPool.layout(plan)).toThrow(/gate is attached to a server that does not offer other/)
})
