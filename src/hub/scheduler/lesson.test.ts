import { expect, test } from 'vitest'
import { aModel, FakeNode } from '../../../test/hub/fake-node.ts'
import { anAnswer, type Bench, startScheduler } from '../../../test/hub/stand-in-scheduler.ts'
import type { Lesson } from './lesson.ts'

const hour = 3_600_000
const machine = (sizeBytes = 6e8) =>
  new FakeNode('http://127.0.0.1:1', [aModel('m', { sizeBytes })], 'oak', 'oak')
const slow = (bench: Bench, answers: number) => {
  for (let n = 0; n < answers; n++)
    bench.scheduler.over(
      bench.scheduler.claim(bench.choose('m')),
      anAnswer({ decodeTokS: 2, prefillTokS: 50 }),
    )
}
/** A life of the hub that knows what an earlier one left, some time later. */
function nextLife(lessons: readonly Lesson[], laterMs: number, node = machine()): Bench {
  const life = startScheduler([node])
  life.clock.advance(laterMs)
  life.scheduler.recall(lessons)
  return life
}

test('the next life predicts as the last one did, and learns on', () => {
  const first = startScheduler([machine()])
  slow(first, 6)
  const before = first.choose('m').predicted.serviceS
  const next = nextLife(first.scheduler.learned(), 0)
  const choice = next.choose('m')
  expect(choice.predicted.serviceS).toBeCloseTo(before, 6)
  expect([choice.gauge.decodeBasis, choice.gauge.prefillBasis]).toEqual(['measured', 'measured'])
  slow(next, 1)
  expect(next.scheduler.learned()[0]?.decode?.weight).toBeGreaterThan(6)
})

test('what nobody asks for is handed on as it is, until it is too old to count', () => {
  const first = startScheduler([machine()])
  slow(first, 6)
  const lessons = first.scheduler.learned()
  const next = nextLife(lessons, hour)
  expect(next.scheduler.learned()).toEqual(lessons)
  next.clock.advance(72 * hour)
  expect(next.scheduler.learned()).toEqual([])
})

test('another model by the same id starts anew', () => {
  const first = startScheduler([machine()])
  slow(first, 6)
  const next = nextLife(first.scheduler.learned(), 0, machine(9e9))
  expect(next.choose('m').gauge.decodeBasis).toBe('modelled')
  expect(next.scheduler.learned()).toEqual([])
})

test('a machine that answered nothing leaves nothing', () => {
  const life = startScheduler([machine()])
  life.choose('m')
  expect(life.scheduler.learned()).toEqual([])
})
