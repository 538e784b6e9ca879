import fc from 'fast-check'
import { expect, test } from 'vitest'
import { noLimits } from '../../protocol/keys.ts'
import { KeyMeter } from './key-meter.ts'

function stand(limits: Partial<typeof noLimits>, startMs = Date.UTC(2026, 10, 30, 23, 0)) {
  let nowMs = startMs
  const clock = { seconds: () => (nowMs - startMs) / 1000, now: () => nowMs }
  const meter = new KeyMeter({ ...noLimits, ...limits }, clock)
  return {
    meter,
    pass: (seconds: number) => {
      nowMs += seconds * 1000
    },
    headers: () => {
      const headers: Record<string, string | number> = {}
      meter.tell(headers)
      return headers
    },
  }
}

test('a key without limits is never refused and tells no limits', () => {
  const { meter, headers } = stand({})
  for (let request = 0; request < 10_000; request++) meter.begin('k', request)
  meter.charge(1e9)
  meter.begin('k', 0)
  expect(headers()).toEqual({})
})

test('a minute of requests may come at once, and then as many as time has brought', () => {
  const { meter, pass, headers } = stand({ requestsPerMinute: 60 })
  for (let request = 0; request < 60; request++) meter.begin('ci', 0)
  expect(headers()).toEqual({
    'x-ratelimit-limit-requests': 60,
    'x-ratelimit-remaining-requests': 0,
    'x-ratelimit-reset-requests': '1m0s',
  })
  expect(() => meter.begin('ci', 0)).toThrow(
    expect.objectContaining({
      code: 'rate_limit_exceeded',
      message: 'The key "ci" may send 60 requests a minute.',
      retryAfterS: 1,
      headers: expect.objectContaining({ 'x-ratelimit-remaining-requests': 0 }),
    }),
  )
  pass(2)
  meter.begin('ci', 0)
  meter.begin('ci', 0)
  expect(() => meter.begin('ci', 0)).toThrow()
})

test('in no span of time do more requests pass than a minute’s worth and what flowed in', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 100 }),
      fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 300 }),
      (requestsPerMinute, gapsMs) => {
        const { meter, pass } = stand({ requestsPerMinute })
        let passed = 0
        let elapsedS = 0
        for (const gap of gapsMs) {
          pass(gap / 1000)
          elapsedS += gap / 1000
          try {
            meter.begin('k', 0)
            passed++
          } catch {
            // Refused.
          }
        }
        expect(passed).toBeLessThanOrEqual(requestsPerMinute + (elapsedS / 60) * requestsPerMinute + 1e-6)
      },
    ),
  )
})

test('tokens are charged when an answer ends: the one that went over is paid for by the next', () => {
  const { meter, pass, headers } = stand({ tokensPerMinute: 600 })
  meter.begin('k', 0)
  meter.charge(1_200)
  expect(headers()['x-ratelimit-remaining-tokens']).toBe(0)
  expect(headers()['x-ratelimit-reset-tokens']).toBe('2m0s')
  expect(() => meter.begin('k', 0)).toThrow(/600 tokens a minute/)
  pass(59)
  expect(() => meter.begin('k', 0)).toThrow()
  pass(2)
  meter.begin('k', 0)
})

test('a refused request costs nothing', () => {
  const { meter } = stand({ requestsPerMinute: 2, concurrency: 1 })
  expect(() => meter.begin('k', 1)).toThrow(/1 answers under way, and may have 1/)
  meter.begin('k', 0)
  meter.begin('k', 0)
  expect(() => meter.begin('k', 0)).toThrow()
})

test('quotas count a day and a month of UTC, what was used elsewhere included, and begin anew', () => {
  const { meter, pass } = stand({ tokensPerDay: 100, tokensPerMonth: 150 })
  meter.setUsedElsewhere({ day: 40, month: 90 })
  meter.charge(59)
  meter.begin('k', 0)
  expect(meter.used()).toEqual({ day: 99, month: 149 })
  meter.charge(1)
  expect(() => meter.begin('team', 0)).toThrow(
    expect.objectContaining({
      code: 'insufficient_quota',
      message: 'The key "team" has used 100 of its 100 tokens of this day (UTC).',
      retryAfterS: 3600,
    }),
  )
  // The 30th of November, 23:00: in an hour both begin anew.
  pass(3_601)
  meter.begin('team', 0)
  expect(meter.used()).toEqual({ day: 0, month: 0 })
})

test('a limit that is changed keeps what was used', () => {
  const { meter } = stand({ requestsPerMinute: 10 })
  for (let request = 0; request < 8; request++) meter.begin('k', 0)
  meter.change({ ...noLimits, requestsPerMinute: 5 })
  expect(() => meter.begin('k', 0)).toThrow()
  meter.change({ ...noLimits, requestsPerMinute: 12 })
  for (let request = 0; request < 4; request++) meter.begin('k', 0)
  expect(() => meter.begin('k', 0)).toThrow()
  meter.change(noLimits)
  meter.begin('k', 0)
})
