import { expect, it } from 'vitest'
import { asChunk } from './as-chunk.ts'

it('a chunk says its length in bytes, not in characters', () => {
  expect(asChunk('für').toString()).toBe('4\r\nfür\r\n')
  expect(asChunk(Buffer.from('x'.repeat(26))).toString()).toBe(`1a\r\n${'x'.repeat(26)}\r\n`)
})
