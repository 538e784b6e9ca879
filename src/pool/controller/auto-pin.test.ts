import fc from 'fast-check'
import { expect, test } from 'vitest'
import { choosePin, leastBetweenMs } from './auto-pin.ts'

const solo = (measuredTokS: number | null, predictedTokS: number | null = 10) => ({
  node: 'a',
  name: 'studio',
  measuredTokS,
  predictedTokS,
})
const pooled = (measuredTokS: number | null, predictedTokS: number | null = 10) => ({
  measuredTokS,
  predictedTokS,
})
const longAgo = Number.POSITIVE_INFINITY

test('a model that fits no single member runs pooled, however slow that is', () => {
  expect(choosePin({ pinned: null, pooled: pooled(0.1), solo: null, sinceSwitchMs: 0 }).pin).toBeNull()
  expect(choosePin({ pinned: 'a', pooled: pooled(0.1), solo: null, sinceSwitchMs: longAgo }).pin).toBeNull()
})

test('runs pooled from 0.6 of the speed of one machine on, and alone below', () => {
  const at = (share: number) =>
    choosePin({ pinned: null, pooled: pooled(10 * share), solo: solo(10), sinceSwitchMs: longAgo }).pin
  expect(at(0.6)).toBeNull()
  expect(at(0.59)).toBe('a')
})

test('a measured speed counts for more than what the planner expected', () => {
  const slower = choosePin({
    pinned: null,
    pooled: pooled(5, 100),
    solo: solo(10, 1),
    sinceSwitchMs: longAgo,
  })
  expect(slower.pin).toBe('a')
  expect(slower.why).toContain('5.0 tok/s measured pooled, 10.0 tok/s measured on studio alone')
  const expected = choosePin({
    pinned: null,
    pooled: pooled(null, 5),
    solo: solo(null, 10),
    sinceSwitchMs: longAgo,
  })
  expect(expected.why).toContain('5.0 tok/s expected pooled')
})

test('comes back only when the pool is clearly better, so that noise does not move a model to and fro', () => {
  const at = (share: number) =>
    choosePin({ pinned: 'a', pooled: pooled(10 * share), solo: solo(10), sinceSwitchMs: longAgo }).pin
  expect(at(0.65)).toBe('a')
  expect(at(0.75)).toBeNull()
})

test('waits between two switches and says so', () => {
  const soon = choosePin({
    pinned: null,
    pooled: pooled(1),
    solo: solo(10),
    sinceSwitchMs: leastBetweenMs - 60_000,
  })
  expect(soon.pin).toBeNull()
  expect(soon.why).toMatch(/will run on studio alone in 1 min/)
})

test('speeds that only wobble between the two limits never move it', () => {
  fc.assert(
    fc.property(
      fc.array(fc.double({ min: 6, max: 7.49, noNaN: true })),
      fc.boolean(),
      (speeds, startsPinned) => {
        let pinned: string | null = startsPinned ? 'a' : null
        for (const speed of speeds) {
          const { pin } = choosePin({ pinned, pooled: pooled(speed), solo: solo(10), sinceSwitchMs: longAgo })
          expect(pin).toBe(pinned)
          pinned = pin
        }
      },
    ),
  )
})
