import { expect, test } from 'vitest'
import { driftOf } from './acquaint.ts'

const alone = (...decode: number[]) => decode.map((decodeTokS) => ({ decodeTokS, prefillTokS: 100 }))

test('drift is the speed around a measurement against what was learned before it, over the machines that took part', () => {
  const first = alone(10, 20, 999)
  const second = alone(8, 16, 1)
  expect(driftOf([first], [first, first], 2)).toEqual({ decode: 1, prefill: 1 })
  expect(driftOf([first], [second, second], 2).decode).toBeCloseTo(0.8)
  // One machine slowed down, the other did not.
  expect(driftOf([first], [alone(5, 20, 1), alone(5, 20, 1)], 2).decode).toBeCloseTo(0.75)
  // What was learned is all of it, and the time in between is between the two.
  expect(driftOf([first, second], [first, second], 2).decode).toBeCloseTo(1)
})
