import { expect, test } from 'vitest'
import { childEntry } from './child-entry.ts'

test('from source, the built twin is started', () => {
  expect(childEntry('file:///home/me/holon/src/a/b.ts', './c.ts')).toBe('/home/me/holon/dist/a/c.js')
})

test('from the build, the neighbour is started, even when Holon lies in a folder called src', () => {
  expect(childEntry('file:///home/me/src/holon/dist/a/b.js', './c.ts')).toBe('/home/me/src/holon/dist/a/c.js')
})

test('of several folders called src, the innermost is the source', () => {
  expect(childEntry('file:///src/holon/src/a/b.ts', './c.ts')).toBe('/src/holon/dist/a/c.js')
})
