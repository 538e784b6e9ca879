/** Pools behind a real hub, over members in this process that break on demand. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { NodeState } from '../../src/protocol/node.ts'
import { fakePoolEngine } from '../fakes/fake-pool-members.ts'
import { eventually } from '../support/cli.ts'
import { GB, PoolStand } from './pool-stand.ts'

let stand: PoolStand
beforeEach(async () => {
  stand = new PoolStand()
  await stand.start()
})
afterEach(async () => {
  await stand.stop()
  expect(stand.site.openParts).toBe(0)
})

describe('a pool', () => {
  test('is made of its members, answers like one machine, and stands among the nodes', async () => {
    const made = await stand.create()
    expect(made.status).toBe(200)
    await stand.served('group')
    expect(stand.site.journal).toEqual(['open a', 'open b', 'start b', 'start a'])
    const answer = await stand.ask('hello')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holon-node')).toBe('p')
    const { nodes } = (await stand.call<{ nodes: NodeState[] }>('/fleet/v1/nodes')).body
    const node = nodes.find(({ id }) => id === 'pool:p')
    expect(node).toMatchObject({
      name: 'p',
      state: 'ready',
      memory: { budgetBytes: 64 * GB, usedBytes: 2 * GB },
    })
    expect(node?.running[0]).toMatchObject({ id: 'big', state: 'ready', memoryBytes: 2 * GB })
    const view = await stand.pool()
    expect(view).toMatchObject({ phase: 'ready', service: 'group', reason: null, engine: 'llama-rpc' })
    expect(view.members.map(({ node: name, rank, wire }) => [name, rank, wire])).toEqual([
      ['a-mac', 0, 'encrypted'],
      ['b-mac', 1, 'encrypted'],
    ])
    expect(view.pooled.predictedTokS).toBeGreaterThan(0)
    expect(view.choice).toContain('no single member can serve it')
  })

  test('is removed whole', async () => {
    await stand.create()
    await stand.served('group')
    expect((await stand.call('/fleet/v1/pools/remove', { name: 'p' })).status).toBe(200)
    expect(stand.site.openParts).toBe(0)
    expect(await stand.pools()).toEqual([])
    const { nodes } = (await stand.call<{ nodes: NodeState[] }>('/fleet/v1/nodes')).body
    expect(nodes.map(({ id }) => id)).not.toContain('pool:p')
    expect((await stand.call('/fleet/v1/pools/remove', { name: 'p' })).status).toBe(404)
  })

  test('is formed again by the hub that comes after', async () => {
    await stand.create()
    await stand.served('group')
    await stand.closeHub()
    expect(stand.site.openParts).toBe(0)
    await stand.restartHub()
    await stand.served('group')
    expect((await stand.ask('hello')).headers.get('x-holon-node')).toBe('p')
  })

  test('answers one at a time when its engine breaks on two', async () => {
    await stand.restartHub({ ...fakePoolEngine, concurrent: false })
    await stand.create()
    await stand.served('group')
    await Promise.all([1, 2, 3].map(async () => (await stand.ask('!slow', { stream: true })).text()))
    expect(stand.engine.maxInFlight).toBe(1)
  })
})

describe('when something breaks', () => {
  test('a worker that dies ends the answer under way with an error, and the pool is rebuilt without a human', async () => {
    await stand.create()
    await stand.served('group')
    const stream = await stand.ask('!stall', { stream: true })
    expect(stream.status).toBe(200)
    stand.b.breakDown('its process ended: out of memory')
    const text = await stream.text()
    expect(text).toContain('"error"')
    expect(text).not.toContain('[DONE]')
    await stand.served('group')
    expect((await stand.ask('hello')).status).toBe(200)
    expect(stand.b.opened).toBe(2)
  })

  test('a launch that fails half way is undone whole and tried again after a pause', async () => {
    stand.b.faults.failStart = true
    await stand.create()
    await eventually('two tries', () => stand.b.opened > 1)
    expect((await stand.pool()).reason).toContain('gave up while it read the weights')
    stand.b.faults.failStart = false
    // On a slow machine it may have failed often enough to be left out.
    await stand.call('/fleet/v1/pools/retry', { name: 'p' })
    await stand.served('group')
    expect(stand.site.openParts).toBe(2)
  })

  test('a member whose port is held by another program undoes the launch whole, and serves when the port is free', async () => {
    stand.b.faults.refuseOpen = true
    await stand.create()
    await eventually('two tries', () => stand.b.opened > 1)
    expect((await stand.pool()).reason).toContain('The port of the worker is held by another program.')
    // The end that was opened already was closed again each time.
    await eventually('nothing to be open', () => stand.site.openParts === 0)
    expect(stand.site.journal).not.toContain('start a')
    stand.b.faults.refuseOpen = false
    await stand.call('/fleet/v1/pools/retry', { name: 'p' })
    await stand.served('group')
  })

  test('a part that does not confirm its end does not hold up the next group for long', async () => {
    await stand.create()
    await stand.served('group')
    stand.a.faults.hangStop = true
    stand.b.breakDown('it crashed')
    await stand.served('group')
    expect(stand.b.opened).toBeGreaterThan(1)
    stand.a.faults.hangStop = false
  })

  test('goes on with the members left, and grows again when the lost one has been back for a while', async () => {
    await stand.create({ nodes: ['a-mac', 'b-mac', 'c-mac'] })
    await stand.served('group')
    stand.c.leave()
    expect((await stand.pool()).service).not.toBe('solo')
    await eventually(
      'two members',
      async () => (await stand.pool()).members.filter(({ state }) => state === 'in').length === 2,
    )
    await stand.served('group')
    expect((await stand.pool()).reason).toContain('1 of its 3 members')
    stand.c.comeBack()
    await eventually('three members', async () => {
      const { members, service } = await stand.pool()
      return service === 'group' && members.every(({ state }) => state === 'in')
    })
  })

  test('leaves a member out that keeps failing, and takes it back when the owner says so', async () => {
    await stand.create({ nodes: ['a-mac', 'b-mac', 'c-mac'] })
    await stand.served('group')
    stand.c.faults.failStart = true
    stand.c.breakDown('it crashed')
    const stateOfC = async () => (await stand.pool()).members.find(({ node }) => node === 'c-mac')?.state
    await eventually('c to be left out', async () => (await stateOfC()) === 'left-out')
    await stand.served('group')
    stand.c.faults.failStart = false
    await stand.call('/fleet/v1/pools/retry', { name: 'p' })
    await eventually('c to be in', async () => (await stateOfC()) === 'in')
  })

  test('its declared fallback answers while it cannot, and says so; without one the error says why', async () => {
    await stand.create({ fallback: 'small' })
    await stand.served('group')
    stand.b.leave()
    await stand.served('fallback')
    const answer = await stand.ask('hello')
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holon-route')).toContain('its fallback small answers')
    expect((await stand.pool()).servedBy).toBe('other')
    stand.b.comeBack()
    await stand.served('group')
    await stand.call('/fleet/v1/pools/remove', { name: 'p' })
    await stand.create()
    await stand.served('group')
    stand.b.leave()
    await eventually('the pool to rest', async () => (await stand.pool()).phase === 'resting')
    expect((await stand.pool()).reason).toContain('Only a-mac is left')
  })
})

describe('the faster placement', () => {
  test('is one machine where the pool would be far slower, and the pool when that machine cannot', async () => {
    stand.a.options.memoryBytes = 64 * GB
    // A link that makes every token wait.
    stand.a.probed = { rttMs: 400 }
    stand.b.probed = { rttMs: 400 }
    await stand.create()
    await stand.served('solo')
    const view = await stand.pool()
    expect(view.servedBy).toBe('a-mac')
    expect(view.choice).toMatch(/It runs on one machine: pooled it reaches \d+ %/)
    expect(stand.site.openParts).toBe(0)
    const answer = await stand.ask('hello')
    expect(answer.status).toBe(200)
    stand.a.leave()
    await eventually('no longer solo', async () => (await stand.pool()).service !== 'solo')
  })

  // MLX reads folders that the member's own engine does not: pinned to that member, nobody answered.
  test('is the pool where only a pool’s engine reads the files, however fast one machine would be', async () => {
    stand.a.options.memoryBytes = 64 * GB
    stand.a.models = []
    stand.a.probed = { rttMs: 400 }
    stand.b.probed = { rttMs: 400 }
    await stand.create()
    await stand.served('group')
    expect((await stand.pool()).choice).toMatch(/It runs pooled/)
    stand.b.leave()
    await eventually('the pool to be down', async () => (await stand.pool()).service === 'none')
    await eventually('the reason', async () =>
      ((await stand.pool()).reason ?? '').includes('no engine of its own that reads big'),
    )
    expect(stand.site.openParts).toBe(0)
  })
})
