/**
 * A pool on exo, formed by its owner's commands on a real hub and a real agent, in front of the fake exo: a program with
 * exo's documented shapes and faults (test/fakes/fake-exo.mjs). Its two machines are the fake's.
 */
import OpenAI from 'openai'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PoolView } from '../../src/protocol/pools.ts'
import { type Program, startFake } from '../engines/attached-stand.ts'
import { eventually } from '../support/cli.ts'
import { ready, TestFleet, type TestHub } from '../support/fleet.ts'
import { PoolOwner, placementOf } from '../support/pool-owner.ts'

const model = 'mlx-community/Qwen3-30B-A3B-4bit'
const tooLarge = 'mlx-community/DeepSeek-V3.1-8bit'
const fleet = new TestFleet()
let exo: Program
let hub: TestHub
let owner: PoolOwner
let client: OpenAI

beforeAll(async () => {
  exo = await startFake('fake-exo.mjs')
  hub = await fleet.hub()
  owner = new PoolOwner(hub)
  client = new OpenAI({ baseURL: `${hub.url}/v1`, apiKey: 'none', maxRetries: 0 })
  const env = { HOLON_HOME: fleet.home(), HOLON_ENGINE: 'exo', HOLON_ENGINE_URL: exo.url }
  fleet.start(['join', hub.url, '--token', await hub.token(), '--name', 'gate'], env)
  await fleet.node(hub, 'bare')
  await ready(hub, 'gate')
}, 240_000)
afterAll(async () => {
  await fleet.end()
  await exo?.stop()
}, 60_000)

async function instances(): Promise<string[]> {
  return Object.keys((await (await fetch(`${exo.url}/state/instances`)).json()) as object)
}
const exoIs = (path: string, body: unknown = {}) =>
  fetch(exo.url + path, { method: 'POST', body: JSON.stringify(body) })

async function ask(content = 'Hello'): Promise<{ text: string; node: string | null }> {
  const { data, response } = await client.chat.completions
    .create(
      { model, messages: [{ role: 'user', content }], stream: true },
      { headers: { 'x-holon-node': 'fast' } },
    )
    .withResponse()
  let text = ''
  for await (const chunk of data) text += chunk.choices[0]?.delta.content ?? ''
  return { text, node: response.headers.get('x-holon-node') }
}

test('the preview plans on exo’s own machines, and says what becomes of the pool when each dies', async () => {
  await exoIs('/test/cluster', { least: 2 })
  const preview = await owner.preview(model, '--context', '8192')
  const best = placementOf(preview, 'exo')
  expect(preview.recommended).toBe(best.id)
  expect(best).toMatchObject({ head: 'gate', strategy: 'pipeline', fits: true, losesBecause: null })
  expect(best.basis).not.toBe('unknown')
  expect(best.decodeTokS.low).toBeLessThan(best.decodeTokS.expected)
  expect(best.members.map(({ node }) => node)).toEqual(['studio', 'book'])
  for (const { memory } of best.members) expect(memory?.kvBytes).toBeGreaterThan(0)
  // By its free memory, as exo splits: 40 GB and 30 GB.
  expect(best.members.map(({ layers }) => layers)).toEqual([27, 21])
  const dies = best.whenAMemberDies.map(({ node, outcome }) => [node, outcome])
  expect(dies).toEqual([
    ['studio', 'down'],
    ['book', 'down'],
    ['gate', 'down'],
  ])
  const other = preview.placements.find(({ id }) => id === `${best.id}:2`)
  expect(other).toMatchObject({ engine: 'exo', strategy: 'tensor', fits: true })
  expect(other?.losesBecause).toContain('slower')
  expect(other?.because.join('; ')).toContain('over RDMA')
  expect(placementOf(preview, 'solo', 'gate').whyNot).toContain('whose machines are its own')
  // Nothing was started.
  expect(await instances()).toEqual([])
})

test('the preview says in exo’s words why it cannot, and why a machine without exo cannot', async () => {
  const large = placementOf(await owner.preview(tooLarge), 'exo')
  expect(large.whyNot).toContain('No cycles found with sufficient memory')
  const asked = await owner.preview(model, '--engine', 'exo')
  expect(placementOf(asked, 'exo', 'bare').whyNot).toMatch(/does not answer.*Open the EXO app/)
  const absent = placementOf(await owner.preview('mlx-community/not-downloaded'), 'exo')
  expect(absent.whyNot).toContain('exo on gate has not downloaded')
  const two = await owner.read(
    ...['pool', 'create', 'x', '--model', model, '--nodes', 'gate,bare', '--engine', 'exo'],
  )
  expect(two.code).not.toBe(0)
  expect(two.text).toContain('Name only the node on which it answers')
  expect(await owner.list()).toEqual([])
})

test('create finds the engine by itself, places an instance, and the client is answered', async () => {
  const made = await owner.ask<PoolView>(
    ...['pool', 'create', 'fast', '--model', model, '--nodes', 'gate', '--wait'],
  )
  expect(made.code).toBe(0)
  expect(made.told).toMatchObject({ service: 'group', engine: 'exo', reason: null })
  expect(made.told.members).toMatchObject([{ node: 'gate', state: 'in', rank: 0, layers: 48, wire: null }])
  expect(await instances()).toEqual(['two'])
  // By the pool, not past it.
  for (let times = 0; times < 5; times++)
    expect(await ask()).toEqual({ text: 'word0 word1 word2 word3 word4 word5', node: 'fast' })
  expect((await owner.read('pool', 'show', 'fast')).text).toContain('Its cluster answers')
  // The memory of exo's machines, not that of the one that reaches it.
  expect((await owner.read('nodes')).text).toMatch(/fast +ready .*128 GB/)
})

test('a runner fails in the middle of an answer: the client is told, the pool leaves, and forms again', async () => {
  const left = await owner.countOf('pool.left')
  await expect(ask('fault:runner-dies')).rejects.toThrow(/stopped while answering/)
  expect(await owner.untilHappened('pool.left', left)).toMatchObject({
    pool: 'fast',
    why: expect.stringContaining('RDMA peer lost'),
  })
  // Whoever asks meanwhile waits for the pool, or is told why it is down; exo is not asked past it.
  expect(await instances()).not.toContain('one')
  await owner.served('fast', 'group')
  expect((await ask()).text).toBe('word0 word1 word2 word3 word4 word5')
  expect(await instances()).toEqual(['two'])
}, 120_000)

test('a runner that fails while nobody asks is noticed too', async () => {
  const left = await owner.countOf('pool.left')
  await exoIs('/test/fail')
  await owner.untilHappened('pool.left', left)
  await owner.served('fast', 'group')
}, 120_000)

test('a machine of exo goes: the pool is down with exo’s reason, and is placed on one as soon as that has room', async () => {
  const left = await owner.countOf('pool.left')
  await exoIs('/test/cluster', { nodes: ['a'] })
  expect(await owner.untilHappened('pool.left', left)).toMatchObject({
    why: expect.stringContaining('A machine of exo is gone'),
  })
  await eventually('exo’s reason in the view', async () =>
    /No cycles found.*Before that: .*A machine of exo is gone/.test((await owner.show('fast')).reason ?? ''),
  )
  await expect(ask()).rejects.toThrow(/The pool fast is down: .*No cycles found/)
  expect(await instances()).toEqual([])
  await exoIs('/test/cluster', { least: 1 })
  await owner.served('fast', 'group')
  expect(await instances()).toEqual(['one'])
  expect((await ask()).node).toBe('fast')
}, 180_000)

test('removed: the instance is deleted, and exo itself goes on', async () => {
  expect((await owner.read('pool', 'remove', 'fast')).code).toBe(0)
  expect(await instances()).toEqual([])
  expect((await fetch(`${exo.url}/state/topology`)).status).toBe(200)
})

test('a start that exo fails is told with its words, and leaves no instance', async () => {
  const broken = await startFake('fake-exo.mjs', '--fault', 'runner-failed')
  try {
    const env = { HOLON_HOME: fleet.home(), HOLON_ENGINE: 'exo', HOLON_ENGINE_URL: broken.url }
    fleet.start(['join', hub.url, '--token', await hub.token(), '--name', 'poor'], env)
    await ready(hub, 'poor')
    await owner.ask('pool', 'create', 'bad', '--model', model, '--nodes', 'poor', '--engine', 'exo')
    await eventually('the reason to be told', async () =>
      Boolean((await owner.show('bad')).reason?.includes('Metal ran out of memory')),
    )
    await owner.read('pool', 'remove', 'bad')
    expect(await (await fetch(`${broken.url}/state/instances`)).json()).toEqual({})
  } finally {
    await broken.stop()
  }
}, 120_000)
