import { expect, test } from 'vitest'
import { allottedThreads } from './allotted-threads.ts'

test('an engine that is held to some of the cores is told how many', () => {
  expect(allottedThreads(1, 2)).toBe(1)
  expect(allottedThreads(4, 16)).toBe(4)
})

test('one that has the whole machine is left to choose', () => {
  expect(allottedThreads(8, 8)).toBeNull()
  // Where the system does not list its processors.
  expect(allottedThreads(1, 0)).toBeNull()
})
