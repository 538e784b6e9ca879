import { expect, it } from 'vitest'
import { bytes, seconds, speed } from './format.ts'

it('writes figures with their units', () => {
  expect([0, 999, 1000, 4_920_000_000, 12_340_000_000, 549_755_813_888].map(bytes)).toEqual([
    '0 B',
    '999 B',
    '1.00 kB',
    '4.92 GB',
    '12.3 GB',
    '550 GB',
  ])
  expect([0.0234, 0.9996, 4.25, 59.96, 200].map(seconds)).toEqual([
    '23 ms',
    '1.0 s',
    '4.3 s',
    '1 min 0 s',
    '3 min 20 s',
  ])
  expect([4.21, 41.26, 312.4].map(speed)).toEqual(['4.2 tok/s', '41.3 tok/s', '312 tok/s'])
})
