import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { claimsPages } from './main.ts'

it('makes the pages that are kept, byte for byte, so that none is stale', () => {
  for (const [path, text] of Object.entries(claimsPages()))
    expect(readFileSync(path, 'utf8'), path).toBe(text)
})
