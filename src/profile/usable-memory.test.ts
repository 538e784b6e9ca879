import { describe, expect, it } from 'vitest'
import { GiB } from '../core/units.ts'
import { usableMainMemory, usableOnGpus, usableOnMac } from './usable-memory.ts'

const card = (vendor: 'nvidia' | 'amd' | 'intel', gib: number | null, unified = false) => ({
  ...{ name: `${vendor} card`, vendor, cores: null, memoryUsedBytes: null, driver: null, unified },
  memoryBytes: gib === null ? null : gib * GiB,
})

describe('on a Mac', () => {
  it.each([
    [16, '15.6', 0.667, /^stock/],
    [16, '26.1', 0.74, /^stock/],
    [48, '26.0', 0.78, /^stock/],
    [96, '14.2', 0.75, /^stock/],
    [128, '26.3', 0.84, /^stock/],
    [64, '26.1', 0.78, /^estimate: 78 %/],
    [256, '26.1', 0.84, /^estimate: 84 %/],
    [8, '15.0', 0.667, /^estimate: 67 %/],
    [64, '14.0', 0.667, /^estimate: 67 %/],
  ])('%i GiB with macOS %s: share %f', (gib, version, share, how) => {
    const usable = usableOnMac(gib * GiB, 0, version)
    expect(usable.bytes / (gib * GiB)).toBeCloseTo(share, 5)
    expect(usable.how).toMatch(how)
  })

  it('the owner’s limit counts in both directions, but not beyond the memory there is', () => {
    expect(usableOnMac(64 * GiB, 4096, '26.1').bytes).toBe(4 * GiB)
    expect(usableOnMac(64 * GiB, 1_000_000, '26.1').bytes).toBe(64 * GiB)
  })
})

describe('elsewhere', () => {
  it('a small old card does not hide the main memory behind it', () => {
    expect(usableOnGpus([card('nvidia', 2)], 64 * GiB).bytes).toBeGreaterThan(50 * GiB)
  })

  it('a card counts more than the graphics inside the processor', () => {
    expect(usableOnGpus([card('amd', 60, true), card('nvidia', 24)], 64 * GiB).bytes).toBe(24 * GiB)
  })

  it('cards of two makers are not added up', () => {
    expect(usableOnGpus([card('amd', 16), card('nvidia', 24)], 64 * GiB).bytes).toBe(24 * GiB)
  })

  it('a card of unknown memory is not guessed at', () => {
    expect(usableOnGpus([card('nvidia', null)], 64 * GiB).how).toContain('main memory')
  })

  it('main memory keeps a reserve, and a tiny machine has none to give', () => {
    expect(usableMainMemory(100 * GiB, 'x').bytes).toBe(90 * GiB)
    expect(usableMainMemory(8 * GiB, 'x').bytes).toBe(6 * GiB)
    expect(usableMainMemory(GiB, 'x').bytes).toBe(0)
  })
})
