import { describe, expect, it } from 'vitest'
import { ModelHistory } from './model-history.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

describe('how often a model is asked for', () => {
  it('is a count that fades to half in three hours', () => {
    const history = new ModelHistory()
    for (let i = 0; i < 8; i++) history.asked(0)
    expect(history.recentUses(3 * hour)).toBeCloseTo(4)
    expect(history.recentUses(9 * hour)).toBeCloseTo(1)
  })

  it('tells the usual gap of a steady rhythm, and nothing of a few requests', () => {
    const history = new ModelHistory()
    history.asked(0)
    history.asked(10 * minute)
    expect(history.usualGapMs(10 * minute)).toBeNull()
    let now = 0
    for (let i = 0; i < 60; i++) {
      now = i * 20 * minute
      history.asked(now)
    }
    expect(history.usualGapMs(now)! / minute).toBeGreaterThan(15)
    expect(history.usualGapMs(now)! / minute).toBeLessThan(25)
  })
})

describe('the habit of a day', () => {
  const mornings = (days: number): ModelHistory => {
    const history = new ModelHistory()
    for (let at = 0; at < days; at++) {
      for (let i = 0; i < 5; i++) history.asked((20_000 + at) * day + 9 * hour + i * minute)
    }
    return history
  }

  it('is known after three days of it, at its hour and at no other', () => {
    expect(mornings(2).habit(20_002 * day + 9 * hour)).toBe(0)
    const known = mornings(5)
    expect(known.habit(20_005 * day + 9 * hour)).toBeGreaterThan(0.6)
    expect(known.habit(20_005 * day + 15 * hour)).toBe(0)
  })

  it('fades when it is given up', () => {
    expect(mornings(5).habit(20_015 * day + 9 * hour)).toBeLessThan(0.2)
  })

  it('outlives a restart', () => {
    const again = new ModelHistory(JSON.parse(JSON.stringify(mornings(5))))
    expect(again.habit(20_005 * day + 9 * hour)).toBeGreaterThan(0.6)
  })
})

describe('measurements', () => {
  it('are the middle of the last nine, so that one slow load does not count', () => {
    const history = new ModelHistory()
    expect(history.loadS).toBeNull()
    for (const ms of [4000, 4200, 60_000, 4100, 3900]) history.loaded(ms)
    expect(history.loadS).toBe(4.1)
    for (let i = 0; i < 20; i++) history.loaded(8000)
    expect(history.loadS).toBe(8)
    expect(history.toJSON().loadsS).toHaveLength(9)
  })

  it('leave out answers too short to measure, and prompts that came from the cache', () => {
    const history = new ModelHistory()
    const stats = { promptTokens: 100, cachedTokens: 95, completionTokens: 3, prefillTokS: 9, decodeTokS: 9 }
    history.answered(stats)
    expect([history.prefillTokS, history.decodeTokS]).toEqual([null, null])
    history.answered({ ...stats, cachedTokens: 0, completionTokens: 50, prefillTokS: 400, decodeTokS: 30 })
    expect([history.prefillTokS, history.decodeTokS]).toEqual([400, 30])
  })
})
