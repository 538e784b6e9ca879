import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../core/units.ts'
import { planBandwidth, slices, summarise, threadLadder } from './plan.ts'

const machine = { cores: 2, availableBytes: 16 * GiB, cacheBytes: 32 * MiB, budgetMs: 2400 }

describe('planBandwidth', () => {
  it('walks through eight times the last-level cache', () => {
    expect(planBandwidth(machine)?.bufferBytes).toBe(256 * MiB)
    expect(planBandwidth({ ...machine, cacheBytes: 96 * MiB })?.bufferBytes).toBe(768 * MiB)
  })

  it('takes no more than a quarter of what is free', () => {
    expect(planBandwidth({ ...machine, availableBytes: 800 * MiB })?.bufferBytes).toBe(200 * MiB)
  })

  it('gives no plan where the caches could answer for the memory', () => {
    expect(planBandwidth({ ...machine, cacheBytes: 384 * MiB, availableBytes: 2 * GiB })).toBeNull()
    expect(planBandwidth({ ...machine, availableBytes: 100 * MiB })).toBeNull()
  })

  it('assumes a large cache when the system does not tell', () => {
    expect(planBandwidth({ ...machine, cacheBytes: null })?.bufferBytes).toBe(768 * MiB)
  })

  it('keeps all windows together within the budget for any ordinary machine', () => {
    for (const cores of [1, 2, 4, 8, 10, 12, 16, 24, 32]) {
      const plan = planBandwidth({ ...machine, cores })!
      const total = plan.threadCounts.length * 3 * (plan.samples + 1) * plan.windowMs
      expect(total).toBeLessThanOrEqual(2400)
    }
  })
})

describe('threadLadder', () => {
  it('doubles, and ends with all of them', () => {
    expect(threadLadder(1)).toEqual([1])
    expect(threadLadder(2)).toEqual([1, 2])
    expect(threadLadder(10)).toEqual([1, 2, 4, 8, 10])
    expect(threadLadder(16)).toEqual([1, 2, 4, 8, 16])
  })
})

describe('slices', () => {
  it('never overlap, never leave the buffer, and fit the read step', () => {
    fc.assert(
      fc.property(fc.integer({ min: 64 * MiB, max: 2 * GiB }), fc.integer({ min: 1, max: 64 }), (size, n) => {
        const parts = slices(size, n)
        expect(parts).toHaveLength(n)
        parts.forEach((part, index) => {
          expect(part.bytes % 256).toBe(0)
          expect(part.bytes).toBeGreaterThan(0)
          const next = parts[index + 1]
          expect(part.from + part.bytes).toBeLessThanOrEqual(next ? next.from : size)
        })
      }),
    )
  })
})

describe('summarise', () => {
  const window = (perS: number, cpuShare: number) => ({ perS, cpuShare })

  it('leaves windows out in which another program had the cores', () => {
    const windows = [window(10, 0.99), window(3, 0.5), window(12, 0.97), window(4, 0.6), window(11, 1)]
    expect(summarise(windows)).toEqual({ perS: 11, disturbed: false })
  })

  it('takes the best and says so when all were disturbed', () => {
    expect(summarise([window(3, 0.5), window(6, 0.8)])).toEqual({ perS: 6, disturbed: true })
  })
})
