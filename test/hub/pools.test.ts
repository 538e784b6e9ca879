/** Pools behind a real hub, over members in this process that break on demand. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { createHub, type Hub } from '../../src/hub/hub.ts'
import type { NodeState } from '../../src/protocol/node.ts'
import {
  linksResponse,
  type PoolPreview,
  type PoolView,
  poolPreview,
  poolsResponse,
} from '../../src/protocol/pools.ts'
import {
  ethernet,
  FakeMachine,
  FakeSite,
  fakePoolEngine,
  type MachineOptions,
} from '../fakes/fake-pool-members.ts'
import { eventually } from '../support/cli.ts'
import { headerOf } from '../support/model-headers.ts'
import { FakeEngine } from './fake-engine.ts'
import { aModel, FakeNode } from './fake-node.ts'

const GB = 1e9
const header = headerOf('llama-3.1-70b', 'Q4_K_M')
const big = () =>
  aModel('big', { state: 'disk', sizeBytes: header.weights.total, paramsTotal: 70e9, name: 'Llama 3.1 70B' })

const policy = {
  backoffMs: 20,
  backoffMaxMs: 200,
  settleMs: 100,
  growAfterMs: 100,
  stopMs: 1_000,
  drainMs: 2_000,
  stableMs: 50,
}

let site: FakeSite
let engine: FakeEngine
let home: string
let hub: Hub
let url: string
let a: FakeMachine
let b: FakeMachine
let c: FakeMachine
let other: FakeNode

const machine = (id: string, options: Partial<MachineOptions> = {}) => {
  const models = options.hasModel ? [big()] : []
  return new FakeMachine(site, engine.origin, id, models, { memoryBytes: 32 * GB, header, ...options })
}

async function startHub(): Promise<void> {
  hub = createHub({
    config: { host: '127.0.0.1', port: 0, version: '0.0.0-test', home },
    nodes: [a, b, c, other],
    clock: systemClock,
    log: silentLog,
    pools: { engines: [fakePoolEngine], policy },
  })
  url = (await hub.listen()).url
}

beforeEach(async () => {
  site = new FakeSite()
  engine = new FakeEngine()
  await engine.start()
  home = await mkdtemp(join(tmpdir(), 'holon-pools-'))
  a = machine('a', { hasModel: true })
  b = machine('b')
  c = machine('c')
  other = new FakeNode(engine.origin, [aModel('small')], 'other', 'other')
  await startHub()
})
afterEach(async () => {
  for (const one of site.members) one.faults.hangStop = false
  await hub.close(200)
  expect(site.openParts).toBe(0)
  await engine.stop()
  await rm(home, { recursive: true, force: true })
})

async function call<T>(path: string, body?: unknown): Promise<{ status: number; body: T }> {
  const response = await fetch(url + path, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json' },
    body: body === undefined ? undefined : JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as T }
}

type Refusal = { error: { code: string; message: string } }
const wish = (more: object = {}) => ({ name: 'p', model: 'big', nodes: ['a-mac', 'b-mac'], ...more })
const create = async (more: object = {}) => {
  const made = await call<PoolView & Refusal>('/fleet/v1/pools', wish(more))
  if (made.status >= 400 && process.env.SHOW) console.log(made.body.error)
  return made
}
const pools = async () => poolsResponse.parse((await call('/fleet/v1/pools')).body).pools
const pool = async (name = 'p') => {
  const found = (await pools()).find((one) => one.name === name)
  if (!found) throw new Error(`no pool ${name}`)
  return found
}
const served = (service: PoolView['service']) =>
  eventually(`service ${service}`, async () => (await pool()).service === service)
const ask = (text: string, more: object = {}) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'big', messages: [{ role: 'user', content: text }], ...more }),
  })

describe('preview', () => {
  const preview = async (more: object = {}): Promise<PoolPreview> =>
    poolPreview.parse((await call('/fleet/v1/pools/preview', { model: 'big', ...more })).body)

  test('compares every placement and starts nothing', async () => {
    const { placements, recommended, unknowns } = await preview()
    const best = placements.find(({ id }) => id === recommended)
    expect(best).toMatchObject({
      engine: 'llama-rpc',
      strategy: 'pipeline',
      head: 'a-mac',
      fits: true,
      losesBecause: null,
    })
    expect(best?.members.map(({ node }) => node)[0]).toBe('a-mac')
    for (const { memory } of best?.members ?? []) {
      expect(memory?.kvBytes).toBeGreaterThan(0)
      expect(memory?.totalBytes).toBeLessThanOrEqual(memory?.limitBytes ?? 0)
    }
    expect(best?.members.reduce((sum, { layers }) => sum + layers, 0)).toBe(80)
    expect(best?.decodeTokS.low).toBeLessThan(best?.decodeTokS.expected ?? 0)
    expect(best?.loadS).toBeGreaterThan(1)
    expect(best?.modelSource).toBe('the header of its file')
    const solo = placements.filter(({ engine: id }) => id === 'solo')
    expect(solo).toHaveLength(3)
    expect(solo.every(({ fits, whyNot }) => !fits && /short/.test(whyNot ?? ''))).toBe(true)
    for (const one of placements) expect(one.losesBecause === null).toBe(one.id === recommended)
    expect(unknowns.join(' ')).toMatch(/assumed/)
    expect(site.journal).toEqual([])
  })

  test('works out what happens when each member dies', async () => {
    const { placements } = await preview({ nodes: ['a-mac', 'b-mac', 'c-mac'], fallback: 'small' })
    const whole = placements.find(({ members }) => members.length === 3)
    expect(whole?.whenAMemberDies.map(({ node, outcome }) => [node, outcome])).toEqual([
      ['a-mac', 'fallback'],
      ['b-mac', 'rebuild'],
      ['c-mac', 'rebuild'],
    ])
    expect(whole?.whenAMemberDies[0]?.detail).toContain('None of these machines has big')
    const pair = (await preview({ nodes: ['a-mac', 'b-mac'] })).placements.find(
      ({ members }) => members.length === 2,
    )
    expect(pair?.whenAMemberDies.map(({ outcome }) => outcome)).toEqual(['down', 'down'])
  })

  test('says why not when the machines cannot hold it, at a longer context too', async () => {
    const { placements, recommended } = await preview({ nodes: ['a-mac', 'b-mac'], contextTokens: 131_072 })
    expect(recommended).toBeNull()
    expect(placements.find(({ engine: id }) => id === 'llama-rpc')?.whyNot).toMatch(
      /together they hold|short/,
    )
  })
})

describe('a pool', () => {
  test('is made of its members, answers like one machine, and stands among the nodes', async () => {
    const made = await create()
    expect(made.status).toBe(200)
    await served('group')
    expect(site.journal).toEqual(['open a', 'open b', 'start b', 'start a'])
    const answer = await ask('hello')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holon-node')).toBe('p')
    const { nodes } = (await call<{ nodes: NodeState[] }>('/fleet/v1/nodes')).body
    const node = nodes.find(({ id }) => id === 'pool:p')
    expect(node).toMatchObject({
      name: 'p',
      state: 'ready',
      memory: { budgetBytes: 64 * GB, usedBytes: 2 * GB },
    })
    expect(node?.running[0]).toMatchObject({ id: 'big', state: 'ready', memoryBytes: 2 * GB })
    const view = await pool()
    expect(view).toMatchObject({ phase: 'ready', service: 'group', reason: null, engine: 'llama-rpc' })
    expect(view.members.map(({ node: name, rank, wire }) => [name, rank, wire])).toEqual([
      ['a-mac', 0, 'encrypted'],
      ['b-mac', 1, 'encrypted'],
    ])
    expect(view.pooled.predictedTokS).toBeGreaterThan(0)
    expect(view.choice).toContain('it fits no single member')
  })

  test('is removed whole', async () => {
    await create()
    await served('group')
    expect((await call('/fleet/v1/pools/remove', { name: 'p' })).status).toBe(200)
    expect(site.openParts).toBe(0)
    expect(await pools()).toEqual([])
    const { nodes } = (await call<{ nodes: NodeState[] }>('/fleet/v1/nodes')).body
    expect(nodes.map(({ id }) => id)).not.toContain('pool:p')
    expect((await call('/fleet/v1/pools/remove', { name: 'p' })).status).toBe(404)
  })

  test('is formed again by the hub that comes after', async () => {
    await create()
    await served('group')
    await hub.close(200)
    expect(site.openParts).toBe(0)
    await startHub()
    await served('group')
    expect((await ask('hello')).headers.get('x-holon-node')).toBe('p')
  })

  test('answers one at a time when its engine breaks on two', async () => {
    await hub.close(200)
    const careful = { ...fakePoolEngine, concurrent: false }
    hub = createHub({
      config: { host: '127.0.0.1', port: 0, version: '0.0.0-test', home },
      nodes: [a, b],
      clock: systemClock,
      log: silentLog,
      pools: { engines: [careful], policy },
    })
    url = (await hub.listen()).url
    await create()
    await served('group')
    await Promise.all([1, 2, 3].map(async () => (await ask('!slow', { stream: true })).text()))
    expect(engine.maxInFlight).toBe(1)
  })
})

describe('bad input is refused before anything starts', () => {
  const refused = async (more: object): Promise<string> => {
    const { status, body } = await create(more)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(await pools()).toEqual([])
    expect(site.journal).toEqual([])
    return body.error.message
  }

  test('a pool of one, a member twice, a member nobody knows, a machine that cannot', async () => {
    expect(await refused({ nodes: ['a-mac'] })).toContain('two members or more')
    expect(await refused({ nodes: ['a-mac', 'a-mac'] })).toContain('named twice')
    expect(await refused({ nodes: ['a-mac', 'z'] })).toContain('no machine called z')
    expect(await refused({ nodes: ['a-mac', 'other'] })).toContain('other cannot take part')
    expect(await refused({ name: 'no spaces' })).toContain('name')
  })

  test('members with different builds', async () => {
    b.options.build = 'fake 2.0 rpc 8'
    expect(await refused({ engine: 'llama-rpc' })).toMatch(
      /fake 1\.0 rpc 7.*fake 2\.0 rpc 8|fake 2\.0 rpc 8.*fake 1\.0 rpc 7/,
    )
  })

  test('too little memory, and a member that claims more than its machine has', async () => {
    b.options.memoryBytes = 2 * GB
    expect(await refused({ engine: 'llama-rpc' })).toMatch(/together they hold/)
    const lie = b.pool.inspect
    b.pool.inspect = async (question) => ({
      ...(await lie(question)),
      memory: { budgetBytes: 500 * GB, usedBytes: 0 },
    })
    expect(await refused({ engine: 'llama-rpc' })).toMatch(/together they hold/)
  })

  test('a model nobody of them has, a member that cannot take part, one that answers nonsense', async () => {
    expect(await refused({ nodes: ['b-mac', 'c-mac'], engine: 'llama-rpc' })).toContain(
      'None of these machines has big',
    )
    b.faults.whyNot = 'The engine is not installed: `holon engines install llama.cpp`.'
    expect(await refused({ engine: 'llama-rpc' })).toContain('engine is not installed')
    b.faults.whyNot = null
    b.pool.inspect = async () => ({ devices: 'all' }) as never
    expect(await refused({ engine: 'llama-rpc' })).toContain('is not right')
  })

  test('a second pool that wants a worker of the first', async () => {
    await create()
    await served('group')
    const before = site.journal.length
    const second = await call<Refusal>(
      '/fleet/v1/pools',
      wish({ name: 'q', nodes: ['b-mac', 'c-mac'], engine: 'llama-rpc' }),
    )
    expect(second.body.error.message).toContain('takes part in the pool p')
    expect(site.journal).toHaveLength(before)
  })
})

describe('when something breaks', () => {
  test('a worker that dies ends the answer under way with an error, and the pool is rebuilt without a human', async () => {
    await create()
    await served('group')
    const stream = await ask('!stall', { stream: true })
    expect(stream.status).toBe(200)
    b.breakDown('its process ended: out of memory')
    const text = await stream.text()
    expect(text).toContain('"error"')
    expect(text).not.toContain('[DONE]')
    await served('group')
    expect((await ask('hello')).status).toBe(200)
    expect(b.opened).toBe(2)
  })

  test('a launch that fails half way is undone whole and tried again after a pause', async () => {
    b.faults.failStart = true
    await create()
    await eventually('two tries', () => b.opened > 1)
    expect((await pool()).reason).toContain('gave up while it read the weights')
    b.faults.failStart = false
    await served('group')
    expect(site.openParts).toBe(2)
  })

  test('a part that does not confirm its end does not hold up the next group for long', async () => {
    await create()
    await served('group')
    a.faults.hangStop = true
    b.breakDown('it crashed')
    await served('group')
    expect(b.opened).toBeGreaterThan(1)
    a.faults.hangStop = false
  })

  test('goes on with the members left, and grows again when the lost one has been back for a while', async () => {
    await create({ nodes: ['a-mac', 'b-mac', 'c-mac'] })
    await served('group')
    c.leave()
    expect((await pool()).service).not.toBe('solo')
    await eventually(
      'two members',
      async () => (await pool()).members.filter(({ state }) => state === 'in').length === 2,
    )
    await served('group')
    expect((await pool()).reason).toContain('1 of its 3 members')
    c.comeBack()
    await eventually('three members', async () => {
      const { members, service } = await pool()
      return service === 'group' && members.every(({ state }) => state === 'in')
    })
  })

  test('leaves a member out that keeps failing, and takes it back when the owner says so', async () => {
    await create({ nodes: ['a-mac', 'b-mac', 'c-mac'] })
    await served('group')
    c.faults.failStart = true
    c.breakDown('it crashed')
    const stateOfC = async () => (await pool()).members.find(({ node }) => node === 'c-mac')?.state
    await eventually('c to be left out', async () => (await stateOfC()) === 'left-out')
    await served('group')
    c.faults.failStart = false
    await call('/fleet/v1/pools/retry', { name: 'p' })
    await eventually('c to be in', async () => (await stateOfC()) === 'in')
  })

  test('its declared fallback answers while it cannot, and says so; without one the error says why', async () => {
    await create({ fallback: 'small' })
    await served('group')
    b.leave()
    await served('fallback')
    const answer = await ask('hello')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holon-route')).toContain('its fallback small answers')
    expect((await pool()).servedBy).toBe('other')
    b.comeBack()
    await served('group')
    await call('/fleet/v1/pools/remove', { name: 'p' })
    await create()
    await served('group')
    b.leave()
    await eventually('the pool to rest', async () => (await pool()).phase === 'resting')
    expect((await pool()).reason).toContain('Only a-mac is left')
  })
})

describe('the faster placement', () => {
  test('is one machine where the pool would be far slower, and the pool when that machine cannot', async () => {
    a.options.memoryBytes = 64 * GB
    // A link that makes every token wait.
    a.probed = { rttMs: 400 }
    b.probed = { rttMs: 400 }
    await create()
    await served('solo')
    const view = await pool()
    expect(view.servedBy).toBe('a-mac')
    expect(view.choice).toMatch(/It runs on one machine: pooled it reaches \d+ %/)
    expect(site.openParts).toBe(0)
    const answer = await ask('hello')
    expect(answer.status).toBe(200)
    a.leave()
    await eventually('no longer solo', async () => (await pool()).service !== 'solo')
  })
})

describe('links', () => {
  test('are measured by the members, named by kind, and a wrong interface is told in words', async () => {
    a.options.interfaces = [ethernet('10.1.0.1', { name: 'en5', kind: 'thunderbolt', lineBitS: 40e9 })]
    b.options.interfaces = [ethernet('10.1.0.2', { name: 'en6', kind: 'thunderbolt', lineBitS: 40e9 })]
    a.probed = { via: ethernet('192.168.1.5', { name: 'en1', kind: 'wifi' }), throughputBytesS: 30e6 }
    b.probed = { throughputBytesS: 2e9 }
    const answer = await call('/fleet/v1/links/measure', { nodes: ['a-mac', 'b-mac'] })
    const { links } = linksResponse.parse(answer.body)
    expect(links).toHaveLength(2)
    const [forth] = links
    expect(forth).toMatchObject({ from: 'a-mac', to: 'b-mac', kind: 'Thunderbolt', tier: 'Thunderbolt' })
    expect(forth?.warnings.join(' ')).toContain(
      'falls back to Wi-Fi: it leaves by en1 (wifi), not by en5 (thunderbolt)',
    )
    expect(forth?.warnings.join(' ')).toContain('67 times as fast one way')
    expect(linksResponse.parse((await call('/fleet/v1/links')).body).links).toHaveLength(2)
  })
})
