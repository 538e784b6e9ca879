import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../core/units.ts'
import { measureBandwidth } from './measure.ts'

describe('measureBandwidth', () => {
  it('measures every thread count, with payload and bus traffic told apart', async () => {
    const plan = { bufferBytes: 64 * MiB, threadCounts: [1, 2], windowMs: 15, samples: 3, patienceMs: 500 }
    const figures = await measureBandwidth(plan)
    expect(figures.map((figure) => figure.threads)).toEqual([1, 2])
    for (const figure of figures) {
      // No machine that runs this is slower than 100 MB/s or faster than 100 TB/s: outside, the arithmetic is wrong.
      expect(figure.readBytesS).toBeGreaterThan(1e8)
      expect(figure.readBytesS).toBeLessThan(1e14)
      expect(figure.copyPayloadBytesS).toBeGreaterThan(1e8)
      // Nor has any core below 100 MHz or above 20 GHz; a chain that was shortened would look like one.
      expect(figure.clockHz).toBeGreaterThan(1e8)
      expect(figure.clockHz).toBeLessThan(2e10)
      expect(figure.copyBusBytesS).toBe(2 * figure.copyPayloadBytesS)
    }
  })

  it('says so when it cannot have the memory', async () => {
    const tooMuch = { bufferBytes: 8 * GiB, threadCounts: [1], windowMs: 15, samples: 3, patienceMs: 500 }
    await expect(measureBandwidth(tooMuch)).rejects.toThrow(/Measuring the memory bandwidth failed/)
  })
})
