/** Random orders of events. The recorder throws when two groups, two parts of one worker or a half group come to be. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import { type Checked, defaultPoolPolicy } from './effects.ts'
import { type Asked, RecordedController, wishFor } from './recorded-controller.ts'

const nodes = ['a', 'b', 'c', 'd']
const pools = ['p', 'q']

const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant('well' as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('badly' as const), at: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('lost' as const), at: fc.nat(20) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('time' as const), at: fc.nat(90_000) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('node' as const), at: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('died' as const), at: fc.nat(7) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('create' as const), at: fc.nat(15) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), at: fc.nat(1) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('pin' as const), at: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('idle' as const), at: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('retry' as const), at: fc.nat(1) }) },
)
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never

function answerBadly(recorded: RecordedController, one: Asked): void {
  recorded.asked.splice(recorded.asked.indexOf(one), 1)
  const { pool, attempt, rank, members } = one
  const error = new HolonError('pool_impossible', 'It will not do.')
  const refusals: Checked[] = [
    { kind: 'refused', error, member: null },
    { kind: 'refused', error, member: members[0] ?? null },
    { kind: 'solo', node: members[0] ?? '' },
  ]
  if (one.kind === 'check') recorded.controller.onChecked(pool, attempt, refusals[attempt % 3] as Checked)
  // A stop never fails; it may only not be answered.
  else if (one.kind !== 'stop') recorded.controller.onPartFailed(pool, attempt, rank, 'It failed.')
}

function take(recorded: RecordedController, one: Step, tickets: { next: number }): void {
  const { controller, asked, clock } = recorded
  const pool = pools[one.at % 2] as string
  const node = nodes[(one.at >> 1) % 4] as string
  const standing = controller.standing(pool)
  switch (one.do) {
    case 'well':
      if (asked.length > 0) recorded.answerWell(asked[one.at % asked.length] as Asked)
      return
    case 'badly':
      if (asked.length > 0) answerBadly(recorded, asked[one.at % asked.length] as Asked)
      return
    case 'lost':
      asked.splice(one.at % (asked.length + 1), 1)
      return
    case 'time':
      clock.advance(one.at)
      return
    case 'node':
      controller.onNode(node, one.at % 2 === 0)
      return
    case 'died':
      if (standing?.attempt != null) controller.onPartFailed(pool, standing.attempt, one.at >> 1, 'It died.')
      return
    case 'create': {
      const members = nodes.filter((_, index) => (one.at >> index) % 2 === 1)
      recorded.create(wishFor(pool, members.length > 1 ? members : nodes))
      return
    }
    case 'remove':
      if (standing) controller.onRemove(tickets.next++, pool)
      return
    case 'pin':
      controller.onPin(pool, one.at > 7 ? null : node)
      return
    case 'idle':
      if (standing?.attempt != null) controller.onIdle(pool, standing.attempt, one.at > 1)
      return
    case 'retry':
      if (standing) controller.onRetry(pool)
  }
}

/** Whatever was promised to be bounded has come to its end by then. */
const longest =
  Math.max(defaultPoolPolicy.startSilenceMs, defaultPoolPolicy.drainMs) + defaultPoolPolicy.stopMs + 1

test('whatever happens in whatever order: never two groups, two parts of a worker, or a half group that serves', () => {
  fc.assert(
    fc.property(fc.array(step, { minLength: 10, maxLength: 150 }), (steps) => {
      const recorded = new RecordedController()
      const tickets = { next: 1000 }
      for (const node of nodes) recorded.controller.onNode(node, true)
      recorded.create(wishFor('p', ['a', 'b', 'c']))
      for (const one of steps) take(recorded, one, tickets)
      // After any history a pool heals when all members are well, and removal leaves nothing open.
      for (const node of nodes) recorded.controller.onNode(node, true)
      for (const pool of pools) recorded.controller.onPin(pool, null)
      for (const pool of pools) if (recorded.controller.standing(pool)) recorded.controller.onRetry(pool)
      const ends = recorded.clock.now() + 2 * longest + defaultPoolPolicy.settleMaxMs
      while (recorded.clock.now() < ends) {
        for (const { attempt, wish } of recorded.controller.standings())
          if (attempt !== null) recorded.controller.onIdle(wish.name, attempt, true)
        recorded.settle()
        recorded.clock.advance(10_000)
      }
      recorded.settle()
      for (const standing of recorded.controller.standings()) {
        expect(standing).toMatchObject({ service: 'group', phase: 'ready' })
        expect([...standing.ranks].sort()).toEqual([...standing.wish.members].sort())
      }
      for (const { wish } of recorded.controller.standings())
        recorded.controller.onRemove(tickets.next++, wish.name)
      recorded.settle()
      expect(recorded.controller.size).toBe(0)
      expect(recorded.parts.size).toBe(0)
    }),
    { numRuns: 400 },
  )
})

test('a hub that closes at any moment is left by every pool in bounded time, even if nobody answers any more', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const recorded = new RecordedController()
      for (const node of nodes) recorded.controller.onNode(node, true)
      recorded.create(wishFor('p', ['a', 'b', 'c']))
      for (const one of steps) take(recorded, one, { next: 1000 })
      recorded.controller.onClose()
      recorded.clock.advance(defaultPoolPolicy.stopMs)
      expect(recorded.controller.size).toBe(0)
      expect(recorded.parts.size).toBe(0)
    }),
    { numRuns: 300 },
  )
})
