import { expect, it } from 'vitest'
import { totalSeconds } from '../../planner/index.ts'
import { fitEffects, type Observation, type Priors } from './fit.ts'

const priors: Priors = {
  base: { read: { mean: 0, sd: 1 }, fixed: { mean: 0, sd: 1 } },
  sd: () => 0.5,
  noise: 0.05,
}
const row = (bytes: number, chip: string, seconds: number, weight = 1): Observation => ({
  terms: [
    { name: 'read', seconds: bytes, keys: [`chip:${chip}`] },
    { name: 'fixed', seconds: 1, keys: [] },
  ],
  seconds,
  weight,
})
/** Chip a reads at 1.5 x, chip b at 2 x the counted time; the fixed part takes 0.5. */
const world = [1, 2, 4, 8, 16].flatMap((bytes) => [
  row(bytes, 'a', 1.5 * bytes + 0.5),
  row(bytes, 'b', 2 * bytes + 0.5),
])

it('finds the factors that made the data', () => {
  const effects = fitEffects(world, priors)
  for (const { terms, seconds } of world) expect(totalSeconds(terms, effects) / seconds).toBeCloseTo(1, 1)
})

it('is not bent by one wild measurement', () => {
  const effects = fitEffects([...world, row(4, 'a', 600)], priors)
  expect(totalSeconds(row(4, 'a', 0).terms, effects)).toBeCloseTo(6.5, 0)
})

it('gives a chip it has not seen the common factor, between the known ones', () => {
  const effects = fitEffects(world, priors)
  const unseen = totalSeconds(row(100, 'c', 0).terms, effects)
  expect(unseen).toBeGreaterThan(150)
  expect(unseen).toBeLessThan(200)
})

it('is deterministic', () => {
  expect(fitEffects(world, priors)).toEqual(fitEffects(world, priors))
})
