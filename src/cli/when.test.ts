import { expect, test } from 'vitest'
import { formatWhen } from './when.ts'

test('a moment is told to the minute in the time of this machine, and sorts as text', () => {
  expect(formatWhen(new Date(2026, 0, 5, 7, 3, 59).getTime())).toBe('2026-01-05 07:03')
  expect(formatWhen(new Date(2026, 10, 21, 22, 5).toISOString())).toBe('2026-11-21 22:05')
})
