import { expect, test } from 'vitest'
import { formatBytes, formatSeconds } from './units.ts'

test('bytes are told in decimal units with three figures', () => {
  expect([0, 999, 1e3, 8.39e6, 104e6, 4.92e9, 1e12].map(formatBytes)).toEqual([
    ...['0 B', '999 B', '1.00 kB', '8.39 MB', '104 MB', '4.92 GB', '1.00 TB'],
  ])
  expect([345.6, 999.6e6].map(formatBytes)).toEqual(['346 B', '1.00 GB'])
})

test('seconds are told in the units that people count in, and never as 60 of one', () => {
  expect([0.35, 0.9996, 4.2, 59.97, 61, 119.7, 3_599.6, 7_200].map(formatSeconds)).toEqual([
    ...['350 ms', '1.0 s', '4.2 s', '1 min 0 s', '1 min 1 s', '2 min 0 s', '1 h 0 min', '2 h 0 min'],
  ])
})
