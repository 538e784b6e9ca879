import { describe, expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { anAnswer, startScheduler } from '../../../test/hub/stand-in-scheduler.ts'
import { explainRequest } from './explain-choice.ts'
import { PrefixHasher } from './prefix-memory.ts'

const node = (id: string, ...models: Parameters<typeof aModel>[]) =>
  new FakeNode(
    'http://127.0.0.1:1',
    models.map((args) => aModel(...args)),
    id,
    id,
  )
const blocksOf = (text: string) => {
  const hasher = new PrefixHasher([1, 2])
  hasher.feed(text)
  return hasher.blocks
}

describe('choosing by the predicted finish', () => {
  test('prefers a model in memory, then one on its way, then one on disk, then one that failed', () => {
    const names = ['failed', 'disk', 'loading', 'ready'] as const
    const nodes = names.map((state) => node(state, ['m', { state }]))
    for (const expected of [...names].reverse()) {
      const { choose } = startScheduler(nodes)
      expect(choose('m').node.id).toBe(expected)
      nodes.pop()
    }
  })

  // A pool that broke sent its request to a member that could not hold the model, whose refusal the caller then read.
  test('sends what failed to no machine that the model is surely too big for', () => {
    const nodes = [node('pool', ['m']), node('member', ['m', { state: 'disk', sizeBytes: 9e12 }])]
    const { choose } = startScheduler(nodes)
    expect(choose('m').node.id).toBe('pool')
    expect(() => choose('m', {}, 'production', new Set(['pool']))).toThrow(
      'No machine that has "m" can answer now',
    )
    expect(startScheduler(nodes.slice(1)).choose('m').node.id).toBe('member')
    // A pool that is down has no memory to show, and says itself why it is.
    const { state } = nodes[0]!
    const none = { budgetBytes: 0, usedBytes: 0 }
    nodes[0]!.state = () => ({ ...state.call(nodes[0]), role: 'pool', memory: none })
    nodes[0]!.models = [aModel('m', { state: 'failed' })]
    const down = startScheduler(nodes)
    expect(down.choose('m').node.id).toBe('member')
    expect(down.choose('m', {}, 'production', new Set(['member'])).node.id).toBe('pool')
  })

  test('prefers the less busy of two equals, and goes back when that is over', () => {
    const { choose, scheduler } = startScheduler([node('a', ['m']), node('b', ['m'])])
    const first = scheduler.claim(choose('m'))
    expect(first.choice.node.id).toBe('a')
    const second = scheduler.claim(choose('m'))
    expect(second.choice.node.id).toBe('b')
    scheduler.over(first, anAnswer())
    expect(choose('m').node.id).toBe('a')
    expect(choose('m').route).toMatch(/^ready; earliest of 2 \(\S+ s\)$/)
  })

  test('learns which machine is faster from its answers, and forgets it with time', () => {
    const { choose, scheduler, clock } = startScheduler([node('slow', ['m']), node('fast', ['m'])])
    for (const decodeTokS of [5, 5, 5]) {
      const choice = choose('m', {}, 'production', new Set(['fast']))
      scheduler.over(scheduler.claim(choice), anAnswer({ decodeTokS }))
    }
    expect(choose('m').node.id).toBe('fast')
    for (let n = 0; n < 3; n++) {
      const choice = choose('m', {}, 'production', new Set(['slow']))
      scheduler.over(scheduler.claim(choice), anAnswer({ decodeTokS: 2 }))
    }
    expect(choose('m').node.id).toBe('slow')
    clock.advance(10 * 24 * 3600_000)
    const slow = choose('m', {}, 'production', new Set(['fast'])).gauge
    expect(slow.decodeBasis).toBe('modelled')
  })

  test('waits at a fast machine rather than go to a very slow one, as long as that is earlier', () => {
    const { choose, scheduler } = startScheduler([node('fast', ['m']), node('slow', ['m'])])
    for (let n = 0; n < 4; n++) {
      const choice = choose('m', {}, 'production', new Set(['fast']))
      scheduler.over(scheduler.claim(choice), anAnswer({ decodeTokS: 1 }))
    }
    const taken = new Map<string, number>()
    for (let n = 0; n < 12; n++) {
      const { choice } = scheduler.claim(choose('m'))
      taken.set(choice.node.id, (taken.get(choice.node.id) ?? 0) + 1)
    }
    expect(taken.get('fast')).toBe(12)
  })

  test('takes the better of two variants in memory, but loads none for its quality', () => {
    const q8 = ['m-7b-instruct-Q8_0', { quant: 'Q8_0', paramsTotal: 7e9 }] as const
    const q4 = ['m-7b-instruct-Q4_K_M', { quant: 'Q4_K_M', paramsTotal: 7e9 }] as const
    const both = startScheduler([node('a', [...q4]), node('b', [...q8])])
    expect(both.choose('m-7b-instruct').model.id).toBe(q8[0])
    const cold = startScheduler([node('a', [...q4]), node('b', [q8[0], { ...q8[1], state: 'disk' }])])
    expect(cold.choose('m-7b-instruct').model.id).toBe(q4[0])
  })

  test('learns how long a load takes, and counts what it would drive out', () => {
    const nodes = [node('a', ['m', { state: 'disk' }], ['other']), node('b', ['m', { state: 'disk' }])]
    const { choose, scheduler } = startScheduler(nodes)
    const claim = scheduler.claim(choose('m', {}, 'production', new Set(['a'])))
    const lease = { parallel: 4, parameters: new Set<string>() }
    scheduler.held(claim, lease, 90)
    scheduler.over(claim, anAnswer())
    nodes[1]!.changed()
    expect(choose('m').node.id).toBe('a')
    const { state } = nodes[0]!
    nodes[0]!.state = () => ({
      ...state.call(nodes[0]),
      memory: { budgetBytes: 7e8, usedBytes: 6e8 },
      running: state.call(nodes[0]).running.map((one) => ({ ...one, memoryBytes: 6e8, active: 3 })),
    })
    nodes[0]!.changed()
    const chosen = choose('m', {}, 'production', new Set(['b']))
    const { choices } = explainRequest(scheduler.decisions, chosen.decision.asked.id)!
    expect(choices[0]?.candidates[0]?.predicted.evictS).toBeGreaterThan(10)
  })

  // It was said to be still under way, for as long as the hub lived.
  test('tells what came of a request whose next node had a full line', () => {
    const { choose, scheduler } = startScheduler([node('a', ['m']), node('b', ['m'])])
    const first = choose('m')
    const { id } = first.decision.asked
    const claim = scheduler.claim(first)
    const passed = new Set([first.node.id])
    scheduler.choose({ id, model: 'm', lane: 'production', demand: first.demand, passed })
    scheduler.over(claim, anAnswer({ status: 502, error: 'engine_crashed' }))
    const explained = explainRequest(scheduler.decisions, id)
    expect(explained?.choices).toHaveLength(2)
    expect(explained?.outcome).toMatchObject({ status: 502, error: 'engine_crashed' })
  })

  test('two requests for a cold model wait for one load', () => {
    const nodes = [node('a', ['m', { state: 'disk' }]), node('b', ['m', { state: 'disk' }])]
    const { choose, scheduler, clock } = startScheduler(nodes)
    scheduler.claim(choose('m'))
    clock.advance(500)
    expect(choose('m').node.id).toBe('a')
  })

  test('asks a node that is not trusted only when there is no other, and none that failed or is gone', () => {
    const nodes = [node('suspect', ['m']), node('busy', ['m'])]
    const state = nodes[0]!.state()
    nodes[0]!.state = () => ({ ...state, state: 'starting' })
    const { choose, scheduler } = startScheduler(nodes)
    for (let n = 0; n < 20; n++) expect(scheduler.claim(choose('m')).choice.node.id).toBe('busy')
    expect(choose('m', {}, 'production', new Set(['busy'])).node.id).toBe('suspect')
    nodes[0]!.state = () => ({ ...state, state: 'gone' })
    nodes[0]!.changed()
    expect(() => choose('m', {}, 'production', new Set(['busy']))).toThrow(
      expect.objectContaining({ code: 'engine_unavailable' }),
    )
  })

  test('passes over a running engine whose context is too short for the prompt', () => {
    const nodes = [node('short', ['m', { contextMax: 32_768 }]), node('long', ['m', { contextMax: 32_768 }])]
    const { state } = nodes[1]!
    nodes[1]!.state = () => {
      const told = state.call(nodes[1])
      return { ...told, running: told.running.map((one) => ({ ...one, contextTokens: 32_768 })) }
    }
    const { choose } = startScheduler(nodes)
    expect(choose('m', { bytes: 400 }).node.id).toBe('short')
    expect(choose('m', { bytes: 40_000 }).node.id).toBe('long')
  })

  test('goes on where the conversation was, unless that is too busy or was unloaded', () => {
    const nodes = [node('a', ['m']), node('b', ['m'])]
    const { choose, scheduler } = startScheduler(nodes)
    const text = 'Once upon a time there was a very long prompt. '.repeat(400)
    const demand = { bytes: text.length, blocks: blocksOf(text) }
    const first = scheduler.claim(choose('m', demand, 'production', new Set(['a'])))
    scheduler.over(first, anAnswer({ promptTokens: text.length / 4, ttftMs: null }))
    const next = choose('m', demand)
    expect(next.node.id).toBe('b')
    expect(next.predicted.cachedTokens).toBeGreaterThan(text.length / 8)
    expect(choose('m', { bytes: text.length, blocks: blocksOf(`x${text}`) }).node.id).toBe('a')
    nodes[1]!.models = [aModel('m', { state: 'disk' })]
    choose('m')
    nodes[1]!.models = [aModel('m')]
    expect(choose('m', demand).node.id).toBe('a')
  })

  test('takes x-holon-session as a hint where the conversation is', () => {
    const { choose, scheduler } = startScheduler([node('a', ['m']), node('b', ['m'])])
    const demand = { bytes: 20_000, session: 4711 }
    const first = scheduler.claim(choose('m', demand, 'production', new Set(['a'])))
    scheduler.over(first, anAnswer({ promptTokens: 5_000, ttftMs: null }))
    expect(choose('m', demand).node.id).toBe('b')
    expect(choose('m', { ...demand, session: 42 }).node.id).toBe('a')
  })

  test('believes less in a cache that did not hold', () => {
    const { choose, scheduler } = startScheduler([node('a', ['m'])])
    const demand = { bytes: 20_000, session: 4711 }
    const cached = () => {
      const choice = choose('m', demand)
      scheduler.over(scheduler.claim(choice), anAnswer({ promptTokens: 5_000, prefillTokS: 500 }))
      return choice.predicted.cachedTokens
    }
    expect(cached()).toBe(0)
    const [first, second, third] = [cached(), cached(), cached()]
    expect(first).toBeGreaterThan(second)
    expect(second).toBeGreaterThan(third)
  })
})

describe('lanes', () => {
  test('keep their level or refuse, where that is enforced', () => {
    const nodes = [node('a', ['m', { sizeBytes: 40e9 }])]
    const kind = startScheduler(nodes)
    expect(kind.choose('m').route).toContain('below production level (first token')
    expect(kind.choose('m', {}, 'research').route).toBe('ready; only node with this model; research lane')
    const strict = startScheduler(nodes, 'enforce')
    expect(() => strict.choose('m')).toThrow(
      expect.objectContaining({ code: 'level_not_kept', retryAfterS: expect.any(Number) }),
    )
    expect(strict.choose('m', {}, 'research').node.id).toBe('a')
  })

  test('a model offered to one lane serves no other, and comes first there', async () => {
    const { choose, catalogue } = startScheduler([node('a', ['m-7b'], ['trial-7b']), node('b', ['m-7b'])])
    await catalogue.owner.offerTo({ model: 'trial-7b' }, ['experimental'])
    await catalogue.owner.offerTo({ node: 'b' }, ['experimental'])
    expect(() => choose('trial-7b')).toThrow(/not offered on this lane/)
    expect(choose('trial-7b', {}, 'experimental').node.id).toBe('a')
    expect(choose('m-7b').node.id).toBe('a')
    expect(choose('m-7b', {}, 'experimental').node.id).toBe('b')
    await catalogue.owner.offerTo({ model: 'trial-7b' }, ['production', 'research', 'experimental'])
    expect(choose('trial-7b').node.id).toBe('a')
  })
})

describe('pins', () => {
  test('hold a model on a node, keep it from one, and are taken back', async () => {
    const { choose, catalogue } = startScheduler([
      node('a', ['m-7b']),
      node('b', ['m-7b']),
      node('c', ['m-7b']),
    ])
    await catalogue.owner.pin('m-7b', { to: ['c'] })
    expect(choose('m-7b').node.id).toBe('c')
    expect(() => choose('m-7b', {}, 'production', new Set(['c']))).toThrow()
    await catalogue.owner.unpin('m-7b')
    await catalogue.owner.pin('m-7b', { away: ['a'] })
    expect(choose('m-7b').node.id).toBe('b')
    await expect(catalogue.owner.pin('m-7b', { to: ['nobody'] })).rejects.toMatchObject({ code: 'not_found' })
    await expect(catalogue.owner.unpin('other')).rejects.toMatchObject({ code: 'not_found' })
  })

  test('a background placement serves only when the others are away, or busy beyond the level', async () => {
    const { choose, catalogue, scheduler } = startScheduler([node('a', ['m-7b']), node('b', ['m-7b'])])
    await catalogue.owner.pin('m-7b', { background: ['a'] })
    expect(choose('m-7b').node.id).toBe('b')
    expect(choose('m-7b', {}, 'production', new Set(['b'])).node.id).toBe('a')
    const order = Array.from({ length: 10 }, () => scheduler.claim(choose('m-7b')).choice.node.id)
    expect(order.slice(0, 4)).toEqual(['b', 'b', 'b', 'b'])
    expect(order).toContain('a')
  })
})

describe('tiers', () => {
  const small = ['small-3b-instruct', { paramsTotal: 3e9, sizeBytes: 2e9 }] as const
  const large = ['large-8b-instruct', { paramsTotal: 8e9, sizeBytes: 4e9 }] as const
  const tiny = ['tiny-0.5b-instruct', { paramsTotal: 5e8, sizeBytes: 4e8 }] as const
  const embed = ['embed-9b', { paramsTotal: 9e9, embedding: true }] as const
  const fleet = () => [node('a', [...small], [...tiny], [...embed]), node('b', [...large])]

  test('take the small model for simple work and the large one for hard', () => {
    const { choose, scheduler } = startScheduler(fleet())
    expect(choose('auto').model.id).toBe(small[0])
    expect(choose('auto:best').model.id).toBe(large[0])
    expect(choose('auto:fast', { tools: true }).model.id).toBe(small[0])
    for (const hard of [
      { tools: true },
      { form: true },
      { reasoning: true },
      { bytes: 9_000 },
      { maxTokens: 3_000 },
    ]) {
      expect(choose('auto', hard).model.id).toBe(large[0])
    }
    const { decision, route } = choose('auto', { tools: true })
    expect(route).toContain('auto:best (tools)')
    expect(explainRequest(scheduler.decisions, decision.asked.id)?.choices[0]?.tier).toMatchObject({
      became: 'auto:best',
      why: expect.stringContaining('tools'),
    })
  })

  test('do not take a large model that is too slow or must be loaded while another can answer', () => {
    const slow = startScheduler([
      node('a', [...small]),
      node('b', ['huge-70b-instruct', { paramsTotal: 7e10, sizeBytes: 40e9 }]),
    ])
    expect(slow.choose('auto:best').model.id).toBe(small[0])
    const cold = startScheduler([
      node('a', [...small]),
      node('b', [large[0], { ...large[1], state: 'disk' }]),
    ])
    expect(cold.choose('auto:best').model.id).toBe(small[0])
  })

  test('never take a model that cannot do it, and say so when none can', () => {
    const { choose, scheduler } = startScheduler(fleet())
    const first = choose('auto:best', { needs: ['image_url'] })
    const lease = { parallel: 4, parameters: new Set(['temperature']) }
    const claim = scheduler.claim(first)
    scheduler.held(claim, lease, 0)
    scheduler.over(claim, null)
    expect(choose('auto:best', { needs: ['image_url'] }).model.id).not.toBe(first.model.id)
    expect(() => choose('auto', { endpoint: 'embedding', generates: false })).toThrow(
      /name the embedding model|text/,
    )
    expect(() => choose('auto', { bytes: 1e7 })).toThrow(/No model here can do/)
  })
})
