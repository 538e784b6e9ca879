/**
 * A cluster that is there already, as one node: any OpenAI address, here the fake vLLM as a program of its own, with the
 * total memory that its owner declares. Its pool is made by the owner's commands on a real hub and a real agent.
 */
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PoolView } from '../../src/protocol/pools.ts'
import { type Program, startFake } from '../engines/attached-stand.ts'
import { eventually } from '../support/cli.ts'
import { ready, TestFleet, type TestHub } from '../support/fleet.ts'
import { PoolOwner, placementOf } from '../support/pool-owner.ts'

const model = 'meta-llama/Llama-3.1-70B-Instruct'
const declared = 262_144
const fleet = new TestFleet()
let cluster: Program
let hub: TestHub
let owner: PoolOwner
let client: OpenAI

beforeAll(async () => {
  cluster = await startFake('fake-vllm.mjs')
  hub = await fleet.hub()
  owner = new PoolOwner(hub)
  client = new OpenAI({ baseURL: `${hub.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const env = {
    HOLON_HOME: fleet.home(),
    HOLON_ENGINE: 'openai',
    HOLON_ENGINE_URL: cluster.url,
    HOLON_MEMORY_BUDGET_MB: String(declared),
  }
  fleet.start(['join', hub.url, '--token', await hub.token(), '--name', 'gate'], env)
  await ready(hub, 'gate')
}, 240_000)
afterAll(async () => {
  await fleet.end()
  await cluster?.stop()
}, 60_000)

async function ask(name = model): Promise<{ text: string; node: string | null }> {
  const { data, response } = await client.chat.completions
    .create({ model: name, messages: [{ role: 'user', content: 'Hello' }] })
    .withResponse()
  return { text: data.choices[0]?.message.content ?? '', node: response.headers.get('x-holon-node') }
}

test('the preview counts with the declared memory, and says what it cannot know', async () => {
  const preview = await owner.preview(model, '--context', '8192')
  const best = placementOf(preview, 'attached')
  expect(preview.recommended).toBe(best.id)
  expect(best).toMatchObject({ head: 'gate', fits: true, basis: 'unknown', contextTokens: 8192 })
  expect(best.members[0]?.memory).toMatchObject({ limitBytes: declared * 2 ** 20 })
  expect(best.members[0]?.memory?.kvBytes).toBeGreaterThan(1e9)
  expect(best.because.join('; ')).toMatch(/of the 275 GB declared for gate; nobody here can tell how fast/)
  expect(best.whenAMemberDies).toMatchObject([{ node: 'gate', outcome: 'down' }])
  expect(placementOf(preview, 'solo', 'gate').whyNot).toContain('whose machines are its own')
  const { text, code } = await owner.read('pool', 'preview', model)
  expect(code).toBe(0)
  expect(text).toMatch(/^Yes: \S+ on gate with attached, how fast is not known before it answers\./)
})

test('a model of which the planner knows nothing is no obstacle, and too long a context is said', async () => {
  const { basis, because, members } = placementOf(await owner.preview('sql-lora'), 'attached')
  expect(basis).toBe('unknown')
  expect(members).toMatchObject([{ node: 'gate', memory: null }])
  expect(because.join('; ')).toContain('the planner does not know this model')
  const long = placementOf(await owner.preview(model, '--context', '65536'), 'attached')
  expect(long.contextTokens).toBe(32_768)
  expect(long.because.join('; ')).toContain('32768 tokens of context at most, and 65536 were asked for')
})

test('why it cannot: a model that it does not list, a node that is attached to nothing, two members', async () => {
  const other = placementOf(await owner.preview('llama-3.1-8b'), 'attached')
  expect(other.whyNot).toContain('gate is attached to a server that does not offer llama-3.1-8b')
  const { placements } = await owner.preview(model, '--engine', 'attached')
  const bare = placements.find(({ engine, head }) => engine === 'attached' && head !== 'gate')
  expect(bare?.whyNot).toContain('no server is attached: start the node with HOLON_ENGINE')
  const refused = await owner.read('pool', 'create', 'x', '--model', 'llama-3.1-8b', '--nodes', 'gate')
  expect(refused.code).not.toBe(0)
  expect(refused.text).toContain('does not offer llama-3.1-8b')
  expect(await owner.list()).toEqual([])
})

test('made without naming the engine, it is one node in list, show and nodes, and answers', async () => {
  const made = await owner.ask<PoolView>(
    ...['pool', 'create', 'big', '--model', model, '--nodes', 'gate', '--wait'],
  )
  expect(made.code).toBe(0)
  expect(made.told).toMatchObject({ service: 'group', engine: 'attached', reason: null })
  expect(made.told.members).toMatchObject([{ node: 'gate', state: 'in', rank: 0, wire: null }])
  for (let times = 0; times < 5; times++)
    expect(await ask()).toEqual({ text: 'word0 word1 word2 word3 word4 word5', node: 'big' })
  expect((await owner.read('pool', 'list')).text).toMatch(/big +meta-llama\S+ +pooled +gate +attached/)
  const shown = (await owner.read('pool', 'show', 'big')).text
  expect(shown).toMatch(/^big serves \S+ with attached, reached by gate\n/)
  expect(shown).toContain('Its cluster answers')
  expect(shown).not.toMatch(/0\.0 tok\/s|encrypted/)
  expect((await owner.read('nodes')).text).toMatch(/big +ready .*275 GB/)
})

test('another model of the same cluster can be a pool beside it', async () => {
  const made = await owner.ask<PoolView>(
    ...['pool', 'create', 'sql', '--model', 'sql-lora', '--nodes', 'gate', '--wait'],
  )
  expect(made.told).toMatchObject({ service: 'group', engine: 'attached' })
  expect((await ask('sql-lora')).node).toBe('sql')
  expect((await owner.read('pool', 'remove', 'sql')).code).toBe(0)
})

test('it stops answering: the pool is down and says so; it answers again: so does the pool', async () => {
  const left = await owner.countOf('pool.left')
  const port = new URL(cluster.url).port
  await cluster.stop()
  expect(await owner.untilHappened('pool.left', left)).toMatchObject({ pool: 'big' })
  await eventually('the reason in the view', async () =>
    /does not answer/.test((await owner.show('big')).reason ?? ''),
  )
  await expect(ask()).rejects.toThrow(/The pool big is down: .*does not answer/)
  cluster = await startFake('fake-vllm.mjs', '--port', port)
  await owner.served('big', 'group')
  expect((await ask()).node).toBe('big')
}, 180_000)

test('removed: the cluster goes on, and is asked without the pool', async () => {
  expect((await owner.read('pool', 'remove', 'big')).code).toBe(0)
  expect((await fetch(`${cluster.url}/health`)).status).toBe(200)
  expect((await ask()).node).toBe('gate')
})
