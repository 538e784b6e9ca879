import fc from 'fast-check'
import { expect, it } from 'vitest'
import { type SplitObjective, type Stage, splitCost, splitLayers } from './split.ts'

/** The naive twin: every way to hand out the layers. */
function exhaustive(stages: readonly Stage[], layers: number, objective: SplitObjective): number | null {
  let best: number | null = null
  const walk = (i: number, left: number, split: number[]) => {
    if (i === stages.length) {
      if (left > 0) return
      const cost = splitCost(stages, split, objective)
      if (best === null || cost < best) best = cost
      return
    }
    for (let take = 0; take <= Math.min(left, stages[i]!.capacity); take++)
      walk(i + 1, left - take, [...split, take])
  }
  walk(0, layers, [])
  return best
}

const stage = fc.record({
  secondsPerLayer: fc.integer({ min: 1, max: 50 }).map((n) => n / 1000),
  capacity: fc.integer({ min: 0, max: 8 }),
  fixedSeconds: fc.constantFrom(0, 0.001, 0.02),
})

it.each(['latency', 'throughput'] as const)('is as good as trying every split, for %s', (objective) => {
  fc.assert(
    fc.property(
      fc.array(stage, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 10 }),
      (stages, layers) => {
        const split = splitLayers(stages, layers, objective)
        const best = exhaustive(stages, layers, objective)
        if (best === null) {
          expect(split).toBeNull()
          return
        }
        expect(split!.reduce((a, b) => a + b, 0)).toBe(layers)
        for (const [i, count] of split!.entries()) expect(count).toBeLessThanOrEqual(stages[i]!.capacity)
        expect(splitCost(stages, split!, objective)).toBeCloseTo(best, 9)
      },
    ),
    { numRuns: 400 },
  )
})

it('leaves a slow machine out when the fast one holds everything', () => {
  const fast = { secondsPerLayer: 0.001, capacity: 40, fixedSeconds: 0.001 }
  const slow = { secondsPerLayer: 0.01, capacity: 40, fixedSeconds: 0.001 }
  expect(splitLayers([slow, fast], 40, 'latency')).toEqual([0, 40])
})
