import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import {
  defaultMemberPolicy,
  type MemberEvent,
  type Membership,
  newMember,
  nextMembership,
} from './membership.ts'

/** One node under a clock that moves only when told to. */
function watch(policy = defaultMemberPolicy) {
  const clock = new FakeClock(1_000_000)
  let member: Membership | null = newMember(clock.now())
  const tell = (event: MemberEvent) => {
    if (member) member = nextMembership(member, event, clock.now(), policy)
  }
  return {
    tell,
    /** Time passes with a tick and, while it speaks, a sign of life every second. */
    pass(seconds: number, speaks = true) {
      for (let at = 0; at < seconds; at++) {
        clock.advance(1_000)
        if (speaks) tell({ type: 'heard' })
        tell({ type: 'tick' })
      }
    },
    flap(times: number) {
      for (let at = 0; at < times; at++) {
        tell({ type: 'lost', reason: 'the line broke', orderly: false })
        clock.advance(1_000)
        tell({ type: 'connected' })
      }
    },
    get phase() {
      return member?.phase ?? 'removed'
    },
    get reason() {
      return member?.reason
    },
  }
}

const connected: MemberEvent = { type: 'connected' }
const reported: MemberEvent = { type: 'reported' }
const lost: MemberEvent = { type: 'lost', reason: 'the line broke', orderly: false }
const revoked: MemberEvent = { type: 'revoked', reason: 'by the owner' }

/** Brings a fresh node into a state by events that real nodes cause. */
const into: Record<string, (node: ReturnType<typeof watch>) => void> = {
  joining: () => undefined,
  ready: (node) => node.tell(reported),
  suspect: (node) => {
    node.tell(reported)
    node.pass(6, false)
  },
  probation: (node) => {
    node.flap(2)
    node.tell(reported)
  },
  gone: (node) => node.tell(lost),
  revoked: (node) => node.tell(revoked),
}

describe('the table of states', () => {
  test.each([
    ['joining', reported, 'ready'],
    ['joining', { type: 'lied', reason: 'x' }, 'suspect'],
    ['joining', lost, 'gone'],
    ['joining', revoked, 'revoked'],
    ['ready', reported, 'ready'],
    ['ready', { type: 'heard' }, 'ready'],
    ['ready', { type: 'lied', reason: 'x' }, 'suspect'],
    ['ready', lost, 'gone'],
    ['ready', connected, 'joining'],
    ['ready', revoked, 'revoked'],
    ['suspect', reported, 'probation'],
    ['suspect', { type: 'heard' }, 'probation'],
    ['suspect', lost, 'gone'],
    ['suspect', revoked, 'revoked'],
    ['probation', reported, 'probation'],
    ['probation', { type: 'lied', reason: 'x' }, 'suspect'],
    ['probation', lost, 'gone'],
    ['gone', connected, 'joining'],
    ['gone', reported, 'gone'],
    ['gone', { type: 'heard' }, 'gone'],
    ['gone', lost, 'gone'],
    ['gone', revoked, 'revoked'],
    ['revoked', connected, 'revoked'],
    ['revoked', reported, 'revoked'],
    ['revoked', lost, 'revoked'],
  ] as [string, MemberEvent, string][])('%s, when %o: %s', (from, event, to) => {
    const node = watch()
    into[from]?.(node)
    expect(node.phase).toBe(from)
    node.tell(event)
    expect(node.phase).toBe(to)
  })
})

test('a node that vanishes without a word is suspect within six seconds', () => {
  const node = watch()
  node.tell(reported)
  node.pass(60)
  expect(node.phase).toBe('ready')
  node.pass(6, false)
  expect(node.phase).toBe('suspect')
  expect(node.reason).toMatch(/heard of it for 5 s/)
})

test('one loss is forgiven at once, and a stop in order is no loss', () => {
  const node = watch()
  node.flap(1)
  node.tell(reported)
  expect(node.phase).toBe('ready')
  for (let at = 0; at < 5; at++) {
    node.tell({ type: 'lost', reason: 'it stopped', orderly: true })
    node.tell(connected)
    node.tell(reported)
    expect(node.phase).toBe('ready')
  }
})

test('a node that flaps is trusted later and later, and in the end again', () => {
  const node = watch()
  node.flap(2)
  node.tell(reported)
  node.pass(9)
  expect(node.phase).toBe('probation')
  node.pass(2)
  expect(node.phase).toBe('ready')
  node.flap(2)
  node.tell(reported)
  node.pass(30)
  expect(node.phase).toBe('probation')
  node.pass(120)
  expect(node.phase).toBe('ready')
})

test('a false picture is not forgotten by noise: only a good one lifts the suspicion', () => {
  const node = watch()
  node.tell({ type: 'lied', reason: 'models: too many' })
  node.pass(60)
  expect(node.phase).toBe('suspect')
  node.tell(reported)
  expect(node.phase).toBe('probation')
})

test('ghosts are removed, and so are the revoked', () => {
  for (const state of ['gone', 'revoked']) {
    const node = watch()
    into[state]?.(node)
    node.pass(9 * 60)
    expect(node.phase).toBe(state)
    node.pass(61)
    expect(node.phase).toBe('removed')
  }
})

test('whatever happens: the revoked stay out, and only a good picture makes a node ready', () => {
  const events: fc.Arbitrary<MemberEvent>[] = [
    fc.constantFrom<MemberEvent>(connected, reported, lost, { type: 'heard' }, { type: 'tick' }),
    fc.constantFrom<MemberEvent>({ type: 'lied', reason: 'x' }, revoked),
  ]
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.oneof(...events), fc.nat(20_000))), (story) => {
      let nowMs = 0
      let member: Membership | null = newMember(nowMs)
      let pictured = false
      let banned = false
      for (const [event, ms] of story) {
        nowMs += ms
        if (!member) break
        if (event.type === 'revoked') banned = true
        if (event.type === 'reported' && member.phase !== 'gone') pictured = true
        if (event.type === 'connected' || event.type === 'lost' || event.type === 'lied') pictured = false
        member = nextMembership(member, event, nowMs)
        if (banned && member) expect(member.phase).toBe('revoked')
        if (member?.phase === 'ready') expect(pictured).toBe(true)
        expect(member?.losses.length ?? 0).toBeLessThanOrEqual(16)
      }
    }),
  )
})
