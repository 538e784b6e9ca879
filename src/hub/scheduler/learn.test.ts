import { describe, expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { anAnswer } from '../../../test/hub/stand-in-scheduler.ts'
import { editionKey, makeEdition } from '../catalogue/edition.ts'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import { Gauge, NodeGauge } from './gauge.ts'
import { HotNumbers } from './hot-numbers.ts'
import { conditionsOf, learnFrom, learnLoad } from './learn.ts'
import { guessSpeed } from './speed-estimate.ts'
import { Usual } from './usual.ts'

const alone = { beside: 0, shared: 1 }
const request = { bytes: 400, generates: true, expectedCached: 0 }

/** Predicted are 0.1 s a token of the answer and 0.01 s of the prompt, a quarter more for each answer beside. */
function gaugeOf(sizeBytes = 8e9): Gauge {
  const model = aModel('m', { sizeBytes })
  const handle = new FakeNode('', [model])
  const edition = makeEdition(editionKey(model), model)
  const numbers = new HotNumbers()
  const placement = { node: { handle, state: handle.state(), placements: [] }, edition, model, at: 0 }
  const gauge = new Gauge(placement, new NodeGauge(numbers), new Usual(numbers), numbers)
  gauge.estimate = {
    ...guessSpeed(model),
    decode0: 0.1,
    decode1: 0,
    prefill0: 0.01,
    prefill1: 0,
    crowding: 0.25,
  }
  return gauge
}

function learned(record: Partial<AnswerRecord>, conditions = alone, more: Partial<typeof request> = {}) {
  const gauge = gaugeOf()
  learnFrom(gauge, anAnswer({ ttftMs: null, ...record }), conditions, { ...request, ...more }, 0)
  return gauge
}
/** The correction undone of the doubt that one measurement is met with. */
const told = (ratio: number) => ratio ** (3 / 2)

describe('an answer', () => {
  test('teaches the speed of decode by what was predicted for its load', () => {
    expect(told(learned({ decodeTokS: 5 }).decode.ratio(0))).toBeCloseTo(2)
    const crowded = learned({ decodeTokS: 5 }, { beside: 4, shared: 1 })
    expect(told(crowded.decode.ratio(0))).toBeCloseTo(1)
    const shared = learned({ decodeTokS: 5 }, { beside: 0, shared: 2 })
    expect(told(shared.decode.ratio(0))).toBeCloseTo(1)
  })

  test('teaches the speed of prefill by the tokens that were not cached', () => {
    const own = learned({ promptTokens: 1_000, cachedTokens: 800, prefillTokS: 50 })
    expect(told(own.prefill.ratio(0))).toBeCloseTo(2)
    // Without the engine's own figure it is what the client waited, less the queue.
    const seen = learned({ promptTokens: 1_000, ttftMs: 25_000, queueMs: 5_000 })
    expect(told(seen.prefill.ratio(0))).toBeCloseTo(2)
    expect(learned({ promptTokens: 1_000, ttftMs: 5, queueMs: 10 }).prefill.evidence(0)).toBe(0)
  })

  test.each<[string, Partial<AnswerRecord>]>([
    ['that failed', { error: 'engine_crashed', decodeTokS: 5, prefillTokS: 5, promptTokens: 1_000 }],
    ['whose client left', { status: 499, decodeTokS: 5, prefillTokS: 5, promptTokens: 1_000 }],
    ['too short to tell', { completionTokens: 7, decodeTokS: 5, promptTokens: 63, prefillTokS: 5 }],
  ])('%s teaches no speed', (_, record) => {
    const gauge = learned(record)
    expect([gauge.decode.evidence(0), gauge.prefill.evidence(0)]).toEqual([0, 0])
  })

  test('teaches what is usual only by exact counts', () => {
    const exact = learned({ promptTokens: 300, completionTokens: 10 })
    expect(exact.usual.answerTokens).toBeLessThan(256)
    expect(exact.usual.tokensPerByte).toBeGreaterThan(0.25)
    const counted = learned({ promptTokens: 300, completionTokens: 10, exactTokens: false })
    expect([counted.usual.answerTokens, counted.usual.tokensPerByte]).toEqual([256, 0.25])
    const embedding = learned({ promptTokens: 300, completionTokens: 10 }, alone, { generates: false })
    expect(embedding.usual.answerTokens).toBe(256)
  })

  test('teaches whether the cache holds, and never that it holds nothing', () => {
    const held = learned({ promptTokens: 1_000, cachedTokens: 500, prefillTokS: 100 }, alone, {
      expectedCached: 500,
    })
    expect(held.cacheHit).toBe(1)
    const lost = gaugeOf()
    for (let n = 0; n < 50; n++) {
      const answer = anAnswer({ promptTokens: 1_000, cachedTokens: 0, prefillTokS: 100 })
      learnFrom(lost, answer, alone, { ...request, expectedCached: 500 }, n)
    }
    expect(lost.cacheHit).toBe(0.1)
    // An engine that tells nothing of its cache is not taken for one without.
    const silent = learned({ promptTokens: 1_000, cachedTokens: 0 }, alone, { expectedCached: 500 })
    expect(silent.cacheHit).toBe(1)
  })
})

describe('a load', () => {
  test('teaches its seconds, and the speed of the machine’s drive by a large file', () => {
    const large = gaugeOf(8e9)
    learnLoad(large, 8)
    learnLoad(large, 4)
    expect([large.measuredLoadS, large.node.loadBytesPerS]).toEqual([6, 1.5e9])
    const small = gaugeOf(1e8)
    learnLoad(small, 3)
    expect([small.measuredLoadS, small.node.loadBytesPerS]).toEqual([3, null])
  })
})

test('conditions count other answers of the model up to its slots, and other models up to four', () => {
  const gauge = gaugeOf()
  gauge.set('slots', 4)
  const under = (own: number, all: number) => {
    gauge.set('inFlight', own)
    while (gauge.node.inFlight < all) gauge.node.count(1)
    while (gauge.node.inFlight > all) gauge.node.count(-1)
    return conditionsOf(gauge)
  }
  expect(under(0, 0)).toEqual({ beside: 0, shared: 1 })
  expect(under(2, 3)).toEqual({ beside: 2, shared: 2 })
  expect(under(9, 29)).toEqual({ beside: 3, shared: 5 })
})
