import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { homeAt } from '../../core/home.ts'
import { readIdentity, removeIdentity, writeIdentity } from './identity.ts'

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holon-identity-'))
})
afterEach(() => rmSync(root, { recursive: true }))
const identity = { hub: 'http://hub:4656', nodeId: 'node_1', name: 'studio', credential: 'hnode_secret' }

test('is kept for its owner alone, replaced whole, and forgotten', () => {
  const home = homeAt(root)
  const file = join(root, 'node.json')
  expect(readIdentity(home)).toBeNull()
  // What a crash left, readable by all.
  writeFileSync(`${file}.new`, 'half')
  chmodSync(`${file}.new`, 0o644)
  writeIdentity(home, identity)
  expect(statSync(file).mode & 0o777).toBe(0o600)
  writeIdentity(home, { ...identity, credential: 'hnode_other' })
  expect(readIdentity(home)?.credential).toBe('hnode_other')
  expect(removeIdentity(home)).toBe(true)
  expect(readIdentity(home)).toBeNull()
  expect(removeIdentity(home)).toBe(false)
})

test('a damaged file says what to do, and can be removed', () => {
  const home = homeAt(root)
  writeFileSync(join(root, 'node.json'), '{"hub":')
  expect(() => readIdentity(home)).toThrow(expect.objectContaining({ code: 'config_invalid' }))
  expect(removeIdentity(home)).toBe(true)
})
