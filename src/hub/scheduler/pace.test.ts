import { expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { editionKey, makeEdition } from '../catalogue/edition.ts'
import { Gauge, NodeGauge } from './gauge.ts'
import { HotNumbers } from './hot-numbers.ts'
import { paceOf } from './pace.ts'
import { guessSpeed } from './speed-estimate.ts'
import { Usual } from './usual.ts'

const numbers = new HotNumbers()

/** A model of one machine whose answers all took so much longer than planned. */
function measured(id: string, decode: number[], shape: 'known' | 'guessed' = 'known'): Gauge {
  const model = aModel(id)
  const handle = new FakeNode('', [model])
  const edition = makeEdition(editionKey(model), model)
  const placement = { node: { handle, state: handle.state(), placements: [] }, edition, model, at: 0 }
  const gauge = new Gauge(placement, new NodeGauge(numbers), new Usual(numbers), numbers)
  gauge.estimate = { ...guessSpeed(model), shape }
  for (const ratio of decode) gauge.decode.observe(ratio, 0)
  return gauge
}
const often = (ratio: number) => Array.from({ length: 40 }, () => ratio)

test('is the middle of what its models took, and says which they were', () => {
  const gauges = [measured('a', often(2)), measured('b', often(1)), measured('c', often(0.5))]
  const pace = paceOf(gauges, 'new', 0)
  expect(pace?.decode).toBeCloseTo(1)
  expect(pace).toMatchObject({ prefill: null, ofThisModel: false, models: ['a', 'b', 'c'] })
  expect(paceOf(gauges.slice(0, 1), 'new', 0)?.decode).toBeGreaterThan(1.8)
})

test('is bounded: what seems further off says that something else went on', () => {
  expect(paceOf([measured('a', often(50))], 'a', 0)?.decode).toBe(3)
  expect(paceOf([measured('a', often(0.001))], 'a', 0)?.decode).toBeCloseTo(1 / 3)
})

test('is that of the very model where it answered', () => {
  const pace = paceOf([measured('a', often(2)), measured('b', often(0.5))], 'a', 0)
  expect(pace).toMatchObject({ ofThisModel: true, models: ['a'] })
  expect(pace?.decode).toBeGreaterThan(1.8)
})

test('is nothing without answers, with old ones alone, and with models whose shape was guessed', () => {
  expect(paceOf([], 'a', 0)).toBeNull()
  expect(paceOf([measured('a', [])], 'a', 0)).toBeNull()
  expect(paceOf([measured('a', [2])], 'a', 24 * 3600)).toBeNull()
  expect(paceOf([measured('a', often(2), 'guessed')], 'a', 0)).toBeNull()
})
