import { expect, test } from 'vitest'
import { FakeClock } from '../core/clock.ts'
import { HolonError } from '../core/errors.ts'
import { type DialState, Reconnector } from './reconnect.ts'

const lost = new HolonError('tunnel_lost', 'The line broke.')
const refused = new HolonError('tunnel_refused', 'The credential is not known.')

/** `random` 1 shows the ceilings of the jitter. */
function start(random = () => 1) {
  const clock = new FakeClock(0)
  const dials: number[] = []
  const states: DialState[] = []
  const reconnector = new Reconnector(clock, {
    connect: () => dials.push(clock.now()),
    changed: (state) => states.push(state),
    random,
  })
  reconnector.start()
  return { clock, dials, states, reconnector }
}

/** Fails every dial until `ms` have passed; the times of the dials. */
function failFor(ms: number, random?: () => number): number[] {
  const { clock, dials, reconnector } = start(random)
  let failed = 0
  for (let now = 0; now <= ms; now += 1) {
    if (dials.length > failed) {
      failed = dials.length
      reconnector.lost(lost)
    }
    clock.advance(1)
  }
  return dials
}

test('waits double from half a second to half a minute', () => {
  const dials = failFor(200_000)
  const waits = dials.slice(1).map((at, i) => at - dials[i]!)
  expect(waits).toEqual([500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000, 30_000, 30_000])
})

test('jitter is full: any wait from none to the ceiling', () => {
  let seed = 7
  const random = () => {
    seed = (seed * 16_807) % 2_147_483_647
    return seed / 2_147_483_647
  }
  const waits: number[] = []
  for (let i = 0; i < 300; i++) {
    const { clock, dials, reconnector } = start(random)
    reconnector.lost(lost)
    clock.advance(500)
    waits.push(dials[1]!)
  }
  expect(Math.max(...waits)).toBeLessThanOrEqual(500)
  expect(waits.filter((each) => each < 250).length).toBeGreaterThan(100)
  expect(waits.filter((each) => each >= 250).length).toBeGreaterThan(100)
})

test('a steady connection starts the doubling anew, a flapping one does not', () => {
  const { clock, dials, reconnector } = start()
  reconnector.lost(lost)
  clock.advance(500)
  reconnector.connected()
  clock.advance(1_000)
  reconnector.lost(lost)
  clock.advance(999)
  expect(dials).toHaveLength(2)
  clock.advance(1)
  expect(dials).toHaveLength(3)
  reconnector.connected()
  clock.advance(30_000)
  reconnector.lost(lost)
  clock.advance(500)
  expect(dials).toHaveLength(4)
})

test('nobody comes back before the time the hub named, nor all at that time', () => {
  const { clock, dials, reconnector } = start(() => 0.5)
  reconnector.lost(new HolonError('tunnel_rate_limited', 'Too often.', { retryAfterS: 7 }))
  clock.advance(7_249)
  expect(dials).toHaveLength(1)
  clock.advance(1)
  expect(dials).toHaveLength(2)
})

test.each(['tunnel_revoked', 'tunnel_version'] as const)('%s is the end', (code) => {
  const { clock, dials, states, reconnector } = start()
  reconnector.connected()
  reconnector.lost(new HolonError(code, 'Over.'))
  clock.advance(3_600_000)
  expect(dials).toHaveLength(1)
  expect(states.at(-1)).toMatchObject({ phase: 'ended', problem: { code } })
})

test('an unknown credential is asked for afresh twice, then it is the end; another failure between starts the count anew', () => {
  const { clock, dials, reconnector } = start()
  const again = (error: HolonError) => {
    reconnector.lost(error)
    clock.advance(60_000)
  }
  for (const error of [refused, refused, lost, refused, refused]) again(error)
  expect(dials).toHaveLength(6)
  again(refused)
  expect(dials).toHaveLength(6)
  expect(reconnector.current).toMatchObject({ phase: 'ended', problem: { code: 'tunnel_refused' } })
})

test('stop ends a wait, and news that comes late changes nothing', () => {
  const { clock, dials, reconnector } = start()
  reconnector.lost(lost)
  reconnector.stop()
  reconnector.connected()
  reconnector.lost(lost)
  clock.advance(3_600_000)
  expect(dials).toHaveLength(1)
  expect(reconnector.current).toEqual({ phase: 'ended', problem: null })
})
