import { describe, expect, test } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import { defaultPoolPolicy } from './effects.ts'
import { groupOf, RecordedController, wishFor } from './recorded-controller.ts'

function withNodes(...nodes: string[]): RecordedController {
  const recorded = new RecordedController()
  for (const node of nodes) recorded.controller.onNode(node, true)
  return recorded
}

function ready(...nodes: string[]): RecordedController {
  const recorded = withNodes(...nodes)
  recorded.create(wishFor('p', nodes))
  recorded.settle()
  expect(standing(recorded).service).toBe('group')
  return recorded
}

const standing = (recorded: RecordedController) => {
  const found = recorded.controller.standing('p')
  if (!found) throw new Error('there is no pool p')
  return found
}
const kinds = (recorded: RecordedController) => recorded.asked.map(({ kind, rank }) => `${kind} ${rank}`)
const tooSmall = new HolonError('pool_impossible', 'Together they are 3 GB short.')

describe('forming a pool', () => {
  test('looks at all members first, opens every end, starts the workers, and the head last', () => {
    const recorded = withNodes('a', 'b', 'c')
    const ticket = recorded.create(wishFor('p', ['a', 'b', 'c']))
    expect(recorded.asked).toEqual([expect.objectContaining({ kind: 'check', members: ['a', 'b', 'c'] })])
    expect(recorded.accepted).toEqual([])
    recorded.answerCheck()
    expect(recorded.accepted).toEqual([ticket])
    expect(kinds(recorded)).toEqual(['open 0', 'open 1', 'open 2'])
    for (const rank of [2, 0]) recorded.answerWell(recorded.asked.find((one) => one.rank === rank)!)
    expect(kinds(recorded)).toEqual(['open 1'])
    recorded.answerWell(recorded.asked[0]!)
    expect(kinds(recorded)).toEqual(['start 1', 'start 2'])
    recorded.answerWell(recorded.asked[0]!)
    expect(kinds(recorded)).toEqual(['start 2'])
    recorded.answerWell(recorded.asked[0]!)
    expect(kinds(recorded)).toEqual(['start 0'])
    expect(standing(recorded).service).toBe('none')
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ phase: 'ready', service: 'group', reason: null })
  })

  test('starts all parts at once where the engine wants its parts to meet', () => {
    const recorded = withNodes('a', 'b')
    recorded.create(wishFor('p', ['a', 'b']))
    recorded.answerCheck({ kind: 'group', plan: { members: ['b', 'a'], together: true } })
    recorded.answerWell(recorded.asked[0]!)
    recorded.answerWell(recorded.asked[0]!)
    expect(kinds(recorded)).toEqual(['start 0', 'start 1'])
  })

  test('refuses a wish whose check fails, and nothing is left of it', () => {
    const recorded = withNodes('a', 'b')
    const ticket = recorded.create(wishFor('p', ['a', 'b']))
    recorded.answerCheck({ kind: 'refused', error: tooSmall, member: null })
    expect(recorded.refused).toEqual([{ ticket, error: tooSmall }])
    expect(recorded.controller.size).toBe(0)
    expect(recorded.asked).toEqual([])
  })

  test('refuses members that are not there, a name twice, and a worker that another pool has', () => {
    const recorded = withNodes('a', 'b', 'c')
    recorded.create(wishFor('p', ['a', 'x']))
    expect(recorded.refused.at(-1)?.error.message).toBe('x is not ready.')
    recorded.create(wishFor('p', ['a', 'b']))
    recorded.create(wishFor('p', ['a', 'c']))
    expect(recorded.refused.at(-1)?.error.message).toContain('already')
    recorded.create(wishFor('q', ['b', 'c']))
    expect(recorded.refused.at(-1)?.error.message).toContain('b takes part in the pool p')
    recorded.create(wishFor('q', ['b', 'c'], { engine: 'mlx' }))
    expect(recorded.controller.size).toBe(2)
  })

  test('undoes a launch whole when one part cannot be opened', () => {
    const recorded = withNodes('a', 'b', 'c')
    recorded.create(wishFor('p', ['a', 'b', 'c']))
    recorded.answerCheck()
    recorded.answerWell(recorded.take('open', 0) && { ...recorded.take('open', 1), rank: 0 })
    recorded.controller.onPartFailed('p', standing(recorded).attempt ?? 0, 2, 'The port is held by another.')
    expect(recorded.asked.filter(({ kind }) => kind === 'stop').map(({ rank }) => rank)).toEqual([0, 1, 2])
    expect(standing(recorded)).toMatchObject({ phase: 'stopping', reason: 'The port is held by another.' })
  })
})

describe('when something breaks', () => {
  test('leaves routing at once, stops every part, and looks at the members left only when all have ended', () => {
    const recorded = ready('a', 'b', 'c')
    recorded.controller.onNode('c', false)
    expect(standing(recorded).service).toBe('none')
    expect(kinds(recorded)).toEqual(['stop 0', 'stop 1', 'stop 2'])
    recorded.answerWell(recorded.asked[0]!)
    recorded.answerWell(recorded.asked[0]!)
    expect(kinds(recorded)).toEqual(['stop 2'])
    recorded.answerWell(recorded.asked[0]!)
    expect(recorded.asked).toEqual([expect.objectContaining({ kind: 'check', members: ['a', 'b'] })])
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ service: 'group', ranks: ['a', 'b'] })
    expect(standing(recorded).reason).toContain('1 of its 3 members')
  })

  test('does not wait for ever for a part that never confirms its end', () => {
    const recorded = ready('a', 'b')
    recorded.controller.onPartFailed('p', standing(recorded).attempt ?? 0, 1, 'It crashed.')
    recorded.clock.advance(defaultPoolPolicy.stopMs)
    expect(recorded.asked.some(({ kind }) => kind === 'check')).toBe(true)
  })

  test('lets one member answer alone when the check says so, and grows again when the other has been back for a while', () => {
    const recorded = ready('a', 'b')
    recorded.controller.onNode('b', false)
    recorded.answerWell(recorded.asked[0]!)
    recorded.answerWell(recorded.asked[0]!)
    recorded.answerCheck({ kind: 'solo', node: 'a' })
    expect(standing(recorded)).toMatchObject({ service: 'solo', solo: 'a' })
    recorded.controller.onNode('b', true)
    expect(recorded.asked).toEqual([])
    recorded.clock.advance(defaultPoolPolicy.backoffMaxMs)
    expect(standing(recorded)).toMatchObject({ phase: 'checking', service: 'solo' })
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ service: 'group', ranks: ['a', 'b'], solo: null })
  })

  test('rests with the reason when nothing can be formed, and tries again after a pause that grows', () => {
    const recorded = ready('a', 'b')
    recorded.controller.onNode('b', false)
    recorded.answerWell(recorded.asked[0]!)
    recorded.answerWell(recorded.asked[0]!)
    let pauses = 0
    for (let tries = 0; tries < 12; tries++) {
      recorded.answerCheck({ kind: 'refused', error: tooSmall, member: null })
      expect(standing(recorded)).toMatchObject({ phase: 'resting', service: 'none' })
      expect(standing(recorded).reason).toBe(`${tooSmall.message} Before that: b is gone.`)
      const pause = (standing(recorded).nextTryMs ?? 0) - recorded.clock.now()
      expect(pause).toBeLessThanOrEqual(defaultPoolPolicy.backoffMaxMs)
      if (pause === defaultPoolPolicy.backoffMaxMs) pauses++
      recorded.clock.advance(pause)
    }
    expect(pauses).toBeGreaterThan(2)
  })

  test('plans without a member that does not fit, and asks it again later', () => {
    const recorded = ready('a', 'b', 'c')
    recorded.controller.onPartFailed('p', standing(recorded).attempt ?? 0, 1, 'It crashed.')
    for (let part = 0; part < 3; part++) recorded.answerWell(recorded.asked[0]!)
    const old = new HolonError('pool_impossible', 'c has another build.')
    recorded.answerCheck({ kind: 'refused', error: old, member: 'c' })
    expect(recorded.asked).toEqual([expect.objectContaining({ kind: 'check', members: ['a', 'b'] })])
    recorded.settle()
    expect(standing(recorded).members.find(({ node }) => node === 'c')).toMatchObject({
      state: 'unfit',
      why: 'c has another build.',
    })
    recorded.clock.advance(defaultPoolPolicy.backoffMaxMs)
    expect(recorded.asked).toEqual([expect.objectContaining({ kind: 'check', members: ['a', 'b', 'c'] })])
    recorded.settle()
    expect(standing(recorded).ranks).toEqual(['a', 'b', 'c'])
  })

  test('leaves a member out that keeps failing, until the owner says otherwise', () => {
    const recorded = ready('a', 'b', 'c')
    for (let failure = 0; failure < defaultPoolPolicy.maxFailures; failure++) {
      const rank = standing(recorded).ranks.indexOf('c')
      recorded.controller.onPartFailed('p', standing(recorded).attempt ?? 0, rank, 'It crashed.')
      recorded.settle()
      while (standing(recorded).ranks.length < 3 && failure < defaultPoolPolicy.maxFailures - 1) {
        recorded.clock.advance(10_000)
        recorded.settle()
      }
    }
    for (let minutes = 0; minutes < 60; minutes++) {
      recorded.clock.advance(60_000)
      recorded.settle()
    }
    expect(standing(recorded).ranks).toEqual(['a', 'b'])
    expect(standing(recorded).members.find(({ node }) => node === 'c')?.state).toBe('left-out')
    recorded.controller.onRetry('p')
    recorded.clock.advance(0)
    recorded.settle()
    expect(standing(recorded).ranks).toEqual(['a', 'b', 'c'])
  })

  test('a member that comes and goes is counted after ever longer times, so that the pool does not flap with it', () => {
    const recorded = ready('a', 'b', 'c')
    const waits: number[] = []
    for (let flap = 0; flap < 3; flap++) {
      recorded.controller.onNode('c', false)
      recorded.settle()
      recorded.clock.advance(1_000)
      recorded.settle()
      recorded.controller.onNode('c', true)
      const back = recorded.clock.now()
      while (standing(recorded).ranks.length < 3) {
        recorded.clock.advance(500)
        recorded.settle()
      }
      waits.push(recorded.clock.now() - back)
    }
    expect(waits[0]).toBeGreaterThanOrEqual(defaultPoolPolicy.settleMs)
    expect(waits[2]).toBeGreaterThanOrEqual(4 * defaultPoolPolicy.settleMs)
  })

  test('a load of which nothing is heard is given up; one that tells its progress is not', () => {
    const recorded = withNodes('a', 'b')
    recorded.create(wishFor('p', ['a', 'b']))
    recorded.answerCheck()
    recorded.answerWell(recorded.asked[0]!)
    recorded.answerWell(recorded.asked[0]!)
    const attempt = standing(recorded).attempt ?? 0
    for (let minutes = 0; minutes < 30; minutes++) {
      recorded.clock.advance(60_000)
      recorded.controller.onProgress('p', attempt, { phase: 'reading weights', percent: minutes, etaS: null })
    }
    expect(standing(recorded)).toMatchObject({ phase: 'starting', progress: { percent: 29 } })
    recorded.clock.advance(defaultPoolPolicy.startSilenceMs)
    expect(standing(recorded).phase).toBe('stopping')
  })
})

describe('growing', () => {
  /** A group of two that were three. */
  const smaller = () => {
    const recorded = ready('a', 'b', 'c')
    recorded.controller.onNode('c', false)
    recorded.settle()
    return recorded
  }

  test('looks first, lets answers end, and only then gives up the smaller group', () => {
    const recorded = smaller()
    const small = standing(recorded).attempt ?? 0
    recorded.controller.onIdle('p', small, false)
    recorded.controller.onNode('c', true)
    recorded.clock.advance(defaultPoolPolicy.growAfterMs)
    expect(standing(recorded)).toMatchObject({ phase: 'ready', service: 'group' })
    recorded.answerCheck(groupOf(['a', 'b', 'c']))
    expect(standing(recorded)).toMatchObject({ phase: 'draining', service: 'none' })
    recorded.controller.onIdle('p', small, true)
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ service: 'group', ranks: ['a', 'b', 'c'], reason: null })
  })

  test('keeps the smaller group when the larger would not fit', () => {
    const recorded = smaller()
    recorded.controller.onNode('c', true)
    recorded.clock.advance(defaultPoolPolicy.growAfterMs)
    recorded.answerCheck({ kind: 'refused', error: tooSmall, member: 'c' })
    expect(standing(recorded)).toMatchObject({ phase: 'ready', service: 'group', ranks: ['a', 'b'] })
    recorded.clock.advance(60_000)
    expect(recorded.asked).toEqual([])
  })

  test('keeps the smaller group when the one that was to join goes away while it is looked at', () => {
    const recorded = smaller()
    recorded.controller.onNode('c', true)
    recorded.clock.advance(defaultPoolPolicy.growAfterMs)
    recorded.controller.onNode('c', false)
    recorded.answerCheck(groupOf(['a', 'b', 'c']))
    expect(standing(recorded)).toMatchObject({ phase: 'ready', service: 'group', ranks: ['a', 'b'] })
    recorded.controller.onNode('c', true)
    recorded.clock.advance(defaultPoolPolicy.growAfterMs)
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ service: 'group', ranks: ['a', 'b', 'c'] })
  })
})

describe('one machine that is faster', () => {
  test('takes over after the answers under way, and gives back when it no longer is', () => {
    const recorded = ready('a', 'b')
    recorded.controller.onIdle('p', standing(recorded).attempt ?? 0, false)
    recorded.controller.onPin('p', 'a')
    expect(standing(recorded)).toMatchObject({ phase: 'draining', service: 'none' })
    recorded.controller.onIdle('p', standing(recorded).attempt ?? 0, true)
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ phase: 'resting', service: 'solo', solo: 'a' })
    recorded.clock.advance(3_600_000)
    expect(recorded.asked).toEqual([])
    recorded.controller.onPin('p', null)
    recorded.settle()
    expect(standing(recorded).service).toBe('group')
  })

  test('gives way to the group when it goes away or cannot load the model', () => {
    const recorded = ready('a', 'b', 'c')
    recorded.controller.onPin('p', 'a')
    recorded.settle()
    recorded.controller.onNode('a', false)
    recorded.clock.advance(0)
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ service: 'group', ranks: ['b', 'c'] })
    recorded.controller.onPin('p', 'b')
    recorded.settle()
    recorded.controller.onSoloFailed('p', 'b', 'It does not fit.')
    recorded.settle()
    expect(standing(recorded).ranks).toEqual(['c'])
    expect(standing(recorded).members.find(({ node }) => node === 'b')).toMatchObject({
      state: 'unfit',
      why: 'It does not fit.',
    })
  })
})

describe('the end', () => {
  test('a removal lets answers under way end, then stops every part', () => {
    const recorded = ready('a', 'b')
    recorded.controller.onIdle('p', standing(recorded).attempt ?? 0, false)
    recorded.controller.onRemove(7, 'p')
    expect(standing(recorded).phase).toBe('draining')
    recorded.clock.advance(defaultPoolPolicy.drainMs)
    expect(recorded.removed).toEqual([])
    recorded.settle()
    expect(recorded.removed).toEqual([7])
    expect(recorded.controller.size).toBe(0)
  })

  test('a removal while members are looked at leaves nothing behind', () => {
    const recorded = withNodes('a', 'b')
    const ticket = recorded.create(wishFor('p', ['a', 'b']))
    recorded.controller.onRemove(8, 'p')
    expect(recorded.refused.map((one) => one.ticket)).toEqual([ticket])
    expect(recorded.removed).toEqual([8])
    recorded.answerCheck()
    expect(recorded.asked).toEqual([])
  })

  test('a hub that comes back forms what was wanted, as soon as members are there', () => {
    const recorded = new RecordedController()
    recorded.controller.onRestore(wishFor('p', ['a', 'b']))
    expect(standing(recorded)).toMatchObject({ phase: 'resting', reason: 'No member is there.' })
    recorded.controller.onNode('a', true)
    recorded.controller.onNode('b', true)
    recorded.clock.advance(0)
    recorded.settle()
    expect(standing(recorded)).toMatchObject({ service: 'group', ranks: ['a', 'b'] })
  })
})

describe('the one way to a cluster', () => {
  const cluster = (): RecordedController => {
    const recorded = withNodes('gate')
    recorded.create(wishFor('p', ['gate'], { engine: 'exo' }))
    recorded.settle()
    return recorded
  }

  test('is never left out, however often the cluster fails', () => {
    const recorded = cluster()
    for (let times = 0; times < 2 * defaultPoolPolicy.maxFailures; times++) {
      const { attempt } = standing(recorded)
      recorded.controller.onPartFailed('p', attempt ?? 0, 0, 'A runner failed.')
      recorded.settle()
      recorded.clock.advance(defaultPoolPolicy.backoffMaxMs)
      recorded.settle()
      expect(standing(recorded).service).toBe('group')
    }
  })

  test('is asked again after seconds when it cannot be reached, and not after a minute', () => {
    const recorded = cluster()
    recorded.controller.onPartFailed('p', standing(recorded).attempt ?? 0, 0, 'It does not answer.')
    while (recorded.asked[0]?.kind !== 'check') recorded.answerWell(recorded.take('stop'))
    recorded.answerCheck({ kind: 'refused', error: tooSmall, member: 'gate' })
    expect(standing(recorded)).toMatchObject({ phase: 'resting', service: 'none' })
    recorded.clock.advance(defaultPoolPolicy.settleMs)
    recorded.settle()
    expect(standing(recorded).service).toBe('group')
  })
})
