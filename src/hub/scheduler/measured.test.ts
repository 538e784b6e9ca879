import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Measured } from './measured.ts'

const hour = 3600

describe('what was measured', () => {
  test('corrects nothing before the first, and two thirds of the way after it', () => {
    const measured = new Measured()
    expect([measured.ratio(0), measured.evidence(0)]).toEqual([1, 0])
    measured.observe(8, 0)
    expect(measured.ratio(0)).toBeCloseTo(8 ** (2 / 3))
    expect(measured.evidence(0)).toBe(1)
  })

  test('counts half after six hours, and is believed less', () => {
    const measured = new Measured()
    measured.observe(4, 0)
    expect(measured.evidence(6 * hour)).toBeCloseTo(0.5)
    expect(measured.ratio(6 * hour)).toBeCloseTo(2)
    expect(measured.ratio(30 * 24 * hour)).toBeCloseTo(1)
  })

  test('gives way to what is measured later', () => {
    const measured = new Measured()
    for (let n = 0; n < 50; n++) measured.observe(10, n)
    for (let n = 0; n < 50; n++) measured.observe(0.5, 50 + n)
    expect(measured.ratio(100)).toBeGreaterThan(0.45)
    expect(measured.ratio(100)).toBeLessThan(0.6)
  })

  test('stays what it was when the prediction becomes another', () => {
    const measured = new Measured()
    for (let n = 0; n < 8; n++) measured.observe(3, 0)
    const before = Math.log(measured.ratio(0))
    // The new prediction is twice the old one, so that the same seconds are half as much of it.
    measured.rebase(1 / 2)
    const after = Math.log(measured.ratio(0))
    expect(after - before).toBeCloseTo((Math.log(1 / 2) * 8) / 8.5)
    const empty = new Measured()
    empty.rebase(5)
    expect(empty.ratio(0)).toBe(1)
  })

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])('%d is no measurement', (ratio) => {
    const measured = new Measured()
    measured.observe(ratio, 0)
    expect(measured.evidence(0)).toBe(0)
  })

  test('lies between what it was told, or nearer to the prediction, whatever it was told and when', () => {
    const observation = fc.record({
      ratio: fc.double({ min: 1e-6, max: 1e6, noNaN: true }),
      afterS: fc.double({ min: 0, max: 48 * hour, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(observation, { minLength: 1, maxLength: 30 }), (told) => {
        const measured = new Measured()
        let nowS = 0
        for (const { ratio, afterS } of told) {
          nowS += afterS
          measured.observe(ratio, nowS)
        }
        const within = told.map(({ ratio }) => Math.min(50, Math.max(1 / 50, ratio)))
        expect(measured.ratio(nowS)).toBeGreaterThanOrEqual(Math.min(1, ...within) * 0.999)
        expect(measured.ratio(nowS)).toBeLessThanOrEqual(Math.max(1, ...within) * 1.001)
        expect(measured.evidence(nowS)).toBeLessThanOrEqual(8)
        // A clock that is set back makes nothing of it more certain.
        expect(measured.evidence(nowS - hour)).toBe(measured.evidence(nowS))
      }),
    )
  })
})
