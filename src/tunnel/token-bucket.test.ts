import { expect, test } from 'vitest'
import { TokenBucket } from './token-bucket.ts'

test('a bucket gives its burst at once and its rate after that', () => {
  const bucket = new TokenBucket(3, 2)
  expect([1, 2, 3, 4].map(() => bucket.take(0))).toEqual([true, true, true, false])
  expect(bucket.waitS(0)).toBeCloseTo(0.5)
  expect(bucket.take(499)).toBe(false)
  expect(bucket.take(500)).toBe(true)
  expect(bucket.isFull(1_000)).toBe(false)
  expect(bucket.isFull(5_000)).toBe(true)
})

test('a clock set back neither fills nor freezes the bucket', () => {
  const bucket = new TokenBucket(1, 1)
  expect(bucket.take(10_000)).toBe(true)
  expect(bucket.take(0)).toBe(false)
  expect(bucket.take(1_000)).toBe(true)
})
