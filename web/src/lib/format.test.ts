import { expect, it } from 'vitest'
import { bytes, chipMemory, seconds, speed } from './format.ts'

/** Units hang on their figures by a space that does not break; spelt as plain spaces here. */
const plain = (text: string) => text.replaceAll('\u00a0', ' ')

it('writes figures with their units', () => {
  expect(plain(chipMemory(68_719_476_736))).toBe('64 GiB (68.7 GB)')
  expect(
    [0, 999, 1000, 999_999_998, 4_920_000_000, 12_340_000_000, 549_755_813_888].map(bytes).map(plain),
  ).toEqual(['0 B', '999 B', '1.00 kB', '1.00 GB', '4.92 GB', '12.3 GB', '550 GB'])
  expect([0.0234, 0.9996, 4.25, 59.96, 200].map(seconds).map(plain)).toEqual([
    '23 ms',
    '1.0 s',
    '4.3 s',
    '1 min 0 s',
    '3 min 20 s',
  ])
  expect([4.21, 41.26, 312.4].map(speed).map(plain)).toEqual(['4.2 tok/s', '41.3 tok/s', '312 tok/s'])
})
