import { existsSync, mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { homeAt } from '../../core/home.ts'
import { cacheFolder, makeRoom, trimCache } from './weight-cache.ts'

const root = mkdtempSync(join(tmpdir(), 'holon-weights-'))
const home = homeAt(root)
afterAll(() => rmSync(root, { recursive: true }))

function keep(name: string, bytes: number, usedS: number): string {
  const folder = join(cacheFolder(home), 'rpc')
  mkdirSync(folder, { recursive: true })
  const path = join(folder, name)
  writeFileSync(path, Buffer.alloc(bytes))
  utimesSync(path, usedS, usedS)
  return path
}

test('weights that were used longest ago go first, until the rest is under the limit', async () => {
  const old = keep('a', 1000, 100)
  const newer = keep('b', 1000, 300)
  const middle = keep('c', 1000, 200)
  expect(await trimCache(home, 2500)).toBe(2000)
  expect([old, middle, newer].map((path) => existsSync(path))).toEqual([false, true, true])
  expect(await makeRoom(home, 1500, 2500)).toBe(true)
  expect([middle, newer].map((path) => existsSync(path))).toEqual([false, true])
})

test('weights that are more than the limit are not kept, nor such as would fill the disk', async () => {
  expect(await makeRoom(home, 3000, 2500)).toBe(false)
  expect(await makeRoom(home, 1e18, 2e18)).toBe(false)
})

test('a machine that has kept nothing yet has nothing to trim', async () => {
  expect(await trimCache(homeAt(join(root, 'none')), 0)).toBe(0)
})
