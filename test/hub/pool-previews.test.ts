/** What a hub says of pools before anything starts: previews, refusals, and what it knows of links. */
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Paces } from '../../src/protocol/paces.ts'
import { linksResponse, type PoolPreview, poolPreview } from '../../src/protocol/pools.ts'
import { ethernet, fakePoolEngine } from '../fakes/fake-pool-members.ts'
import { eventually, runCli } from '../support/cli.ts'
import { aModel } from './fake-node.ts'
import { GB, PoolStand, type Refusal } from './pool-stand.ts'

let stand: PoolStand
beforeEach(async () => {
  stand = new PoolStand()
  await stand.start()
})
afterEach(async () => {
  await stand.stop()
  expect(stand.site.openParts).toBe(0)
})

describe('preview', () => {
  const preview = async (more: object = {}): Promise<PoolPreview> =>
    poolPreview.parse((await stand.call('/fleet/v1/pools/preview', { model: 'big', ...more })).body)

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
    expect(stand.site.journal).toEqual([])
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

  test('learns from what a machine answered before, with another model too', async () => {
    const loaded = aModel('llama-3.1-8b', { quant: 'Q4_K_M', paramsTotal: 8e9, sizeBytes: 4.9e9 })
    const plain = stand.a.state.bind(stand.a)
    stand.a.state = () => {
      const state = plain()
      return { ...state, running: state.running.map((one) => ({ ...one, decodeTokS: 20 })) }
    }
    stand.a.models = [...stand.a.models, loaded]
    const pool = async () => (await preview()).placements.find(({ members }) => members.length === 3)
    const before = await pool()
    expect((await stand.ask('hello', { model: 'llama-3.1-8b' })).status).toBe(200)
    await eventually('the answer to count', async () =>
      /a-mac decodes/.test((await pool())?.because.join() ?? ''),
    )
    const after = await pool()
    expect(after?.because.join('; ')).toMatch(
      /a-mac decodes at 0\.\d\d of the calculated speed, by its own answers of llama-3\.1-8b/,
    )
    expect(after?.decodeTokS.expected).toBeLessThan(before?.decodeTokS.expected ?? 0)

    // The next life of the hub knows it before anything is asked, and tells it to plans that are made elsewhere.
    await stand.restartHub()
    expect((await pool())?.because.join('; ')).toMatch(/a-mac decodes at 0\.\d\d of the calculated speed/)
    const { paces } = (await stand.call<{ paces: Paces }>('/fleet/v1/paces', { model: 'big' })).body
    expect(paces).toMatchObject([{ node: 'a', prefill: null, ofThisModel: false, models: ['llama-3.1-8b'] }])
    const plan = ['plan', 'llama-3.1-8b', '--quant', 'Q4_K_M', '--on']
    const env = { HOLON_HUB: stand.url, HOLON_HOME: join(tmpdir(), 'holon-no-home-of-a-hub') }
    expect((await runCli([...plan, 'a-mac'], env)).stdout).toMatch(
      /- a-mac decodes at 0\.\d\d of the calculated/,
    )
    expect((await runCli([...plan, 'b-mac'], env)).stdout).not.toContain('of the calculated')
  }, 60_000)

  test('says why not when the machines cannot hold it, at a longer context too', async () => {
    const { placements, recommended } = await preview({ nodes: ['a-mac', 'b-mac'], contextTokens: 131_072 })
    expect(recommended).toBeNull()
    expect(placements.find(({ engine: id }) => id === 'llama-rpc')?.whyNot).toMatch(
      /together they hold|short/,
    )
  })
})

describe('bad input is refused before anything starts', () => {
  const refused = async (more: object): Promise<string> => {
    const { status, body } = await stand.create(more)
    expect(status).toBeGreaterThanOrEqual(400)
    expect(await stand.pools()).toEqual([])
    expect(stand.site.journal).toEqual([])
    return body.error.message
  }

  test('a pool of one, a member twice, a member nobody knows, a machine that cannot', async () => {
    expect(await refused({ nodes: ['a-mac'] })).toContain('two members or more')
    expect(await refused({ nodes: ['a-mac', 'a-mac'] })).toContain('named twice')
    expect(await refused({ nodes: ['a-mac', 'z'] })).toContain('no machine called z')
    expect(await refused({ nodes: ['a-mac', 'other'] })).toContain('other cannot take part')
    expect(await refused({ name: 'no spaces' })).toContain('name')
  })

  // With its engine named it was taken, and served by the one machine.
  test('a pool of one that holds the model alone, with its engine named', async () => {
    stand.a.options.memoryBytes = 64 * GB
    expect(await refused({ nodes: ['a-mac'], engine: 'llama-rpc' })).toContain('two members or more')
  })

  test('a fallback that no machine has, and the pool’s own model as its fallback', async () => {
    expect(await refused({ fallback: 'nope' })).toBe(
      'No machine has nope, which is to answer while the pool cannot. `holon models` lists what there is; `holon pull nope` gets it.',
    )
    expect(await refused({ fallback: 'big' })).toContain('big cannot be its own fallback.')
  })

  test('a cable that is not there is refused by name, with those that are; one at each member is taken', async () => {
    const isolatedLinks = (...links: string[]) => ({ isolatedLinks: links })
    expect(await refused(isolatedLinks('a-mac:en7', 'b-mac:en0'))).toBe(
      'a-mac has no interface called "en7". a-mac has en0 (10.0.0.1).',
    )
    expect(await refused(isolatedLinks('c-mac:en0'))).toContain('names no member of this pool')
    expect(await refused(isolatedLinks('a-mac:en0'))).toContain('No cable of b-mac is vouched for')
    expect((await stand.create(isolatedLinks('a-mac:en0', 'b-mac:en0'))).status).toBe(200)
    await stand.served('group')
    expect((await stand.pool()).members.map(({ wire }) => wire)).toEqual(['isolated', 'isolated'])
  })

  test('a name that is taken, whatever else is wrong', async () => {
    await stand.create()
    await stand.served('group')
    const again = await stand.create({ nodes: ['c-mac'] })
    expect(again.body.error.message).toContain('There is a pool called p already.')
    expect((await stand.pools()).map(({ name }) => name)).toEqual(['p'])
  })

  test('too little disk for an engine that reads files on every member', async () => {
    await stand.restartHub({ ...fakePoolEngine, id: 'mlx', title: 'fake MLX' })
    stand.b.options.diskFreeBytes = 3 * GB
    expect(await refused({ engine: 'mlx' })).toMatch(
      /^b-mac has 3\.00 GB free on its disk and big takes 4\d\.\d GB\..*llama-rpc/,
    )
  })

  test('members with different builds', async () => {
    stand.b.options.build = 'fake 2.0 rpc 8'
    expect(await refused({ engine: 'llama-rpc' })).toMatch(
      /fake 1\.0 rpc 7.*fake 2\.0 rpc 8|fake 2\.0 rpc 8.*fake 1\.0 rpc 7/,
    )
  })

  test('too little memory, and a member that claims more than its machine has', async () => {
    stand.b.options.memoryBytes = 2 * GB
    expect(await refused({ engine: 'llama-rpc' })).toMatch(/together they hold/)
    const lie = stand.b.pool.inspect
    stand.b.pool.inspect = async (question) => ({
      ...(await lie(question)),
      memory: { budgetBytes: 500 * GB, usedBytes: 0 },
    })
    expect(await refused({ engine: 'llama-rpc' })).toMatch(/together they hold/)
  })

  test('a model nobody of them has, a member that cannot take part, one that answers nonsense', async () => {
    expect(await refused({ nodes: ['b-mac', 'c-mac'], engine: 'llama-rpc' })).toContain(
      'None of these machines has big',
    )
    stand.b.faults.whyNot = 'The engine is not installed: `holon engines install llama.cpp`.'
    expect(await refused({ engine: 'llama-rpc' })).toContain('engine is not installed')
    stand.b.faults.whyNot = null
    stand.b.pool.inspect = async () => ({ devices: 'all' }) as never
    expect(await refused({ engine: 'llama-rpc' })).toContain('is not right')
  })

  test('a file that was downloaded by half, and one that the engine does not read', async () => {
    stand.a.options.hasModel = false
    const [whole] = stand.a.models
    stand.a.models = [
      { ...whole!, problem: 'The file ends inside its tensors: 12.0 GB of 42.5 GB are there.' },
    ]
    expect(await refused({ engine: 'llama-rpc' })).toMatch(
      /^a-mac has big, and its file cannot be used: The file ends inside its tensors.*Get it again there/,
    )
    stand.a.models = [whole!]
    expect(await refused({ engine: 'llama-rpc' })).toContain('a-mac has big, but not as a GGUF file')
  })

  test('a second pool that wants a worker of the first', async () => {
    await stand.create()
    await stand.served('group')
    const before = stand.site.journal.length
    const second = await stand.call<Refusal>('/fleet/v1/pools', {
      name: 'q',
      model: 'big',
      nodes: ['b-mac', 'c-mac'],
      engine: 'llama-rpc',
    })
    expect(second.body.error.message).toContain('takes part in the pool p')
    expect(stand.site.journal).toHaveLength(before)
  })
})

describe('links', () => {
  test('are measured by the members, named by kind, and a wrong interface is told in words', async () => {
    stand.a.options.interfaces = [ethernet('10.1.0.1', { name: 'en5', kind: 'thunderbolt', lineBitS: 40e9 })]
    stand.b.options.interfaces = [ethernet('10.1.0.2', { name: 'en6', kind: 'thunderbolt', lineBitS: 40e9 })]
    stand.a.probed = { via: ethernet('192.168.1.5', { name: 'en1', kind: 'wifi' }), throughputBytesS: 30e6 }
    stand.b.probed = { throughputBytesS: 2e9 }
    const answer = await stand.call('/fleet/v1/links/measure', { nodes: ['a-mac', 'b-mac'] })
    const { links } = linksResponse.parse(answer.body)
    expect(links).toHaveLength(2)
    const [forth] = links
    expect(forth).toMatchObject({ from: 'a-mac', to: 'b-mac', kind: 'Thunderbolt', tier: 'Thunderbolt' })
    expect(forth?.warnings.join(' ')).toContain(
      'falls back to Wi-Fi: it leaves by en1 (wifi), not by en5 (thunderbolt)',
    )
    expect(forth?.warnings.join(' ')).toContain('67 times as fast one way')
    expect(linksResponse.parse((await stand.call('/fleet/v1/links')).body).links).toHaveLength(2)
  })
})
