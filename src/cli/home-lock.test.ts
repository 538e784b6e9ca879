import { mkdirSync, mkdtempSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, expect, test } from 'vitest'
import { type Home, homeAt } from '../core/home.ts'
import { readLock, staleLock, takeLock } from './home-lock.ts'

let home: Home
beforeEach(() => {
  home = homeAt(mkdtempSync(join(tmpdir(), 'holon-lock-')))
})

test('a second holder is refused and told who holds it', () => {
  const lock = takeLock(home)
  lock.publish('http://127.0.0.1:4656', 'hlocal_secret', null)
  expect(() => takeLock(home)).toThrow(
    `already running on ${home.root} at http://127.0.0.1:4656 (process ${process.pid})`,
  )
  lock.release()
  expect(readLock(home)).toBeNull()
  takeLock(home).release()
})

test('what a process left that is gone is told of, and is no obstacle', () => {
  mkdirSync(home.run, { recursive: true })
  writeFileSync(
    join(home.run, 'up.json'),
    JSON.stringify({ pid: 2 ** 22 - 1, processStart: '1', url: 'http://x' }),
  )
  mkdirSync(join(home.run, 'up.lock'))
  writeFileSync(join(home.run, 'up.lock', `${hostname()}~${2 ** 22 - 1}~1~lock_x`), '')
  expect(readLock(home)).toBeNull()
  expect(staleLock(home)).toMatchObject({ url: 'http://x' })
  takeLock(home).release()
})

test.runIf(process.platform === 'linux')('a reused process id does not pass for the old holder', () => {
  mkdirSync(home.run, { recursive: true })
  writeFileSync(
    join(home.run, 'up.json'),
    JSON.stringify({ pid: process.pid, processStart: 'long ago', url: null }),
  )
  expect(readLock(home)).toBeNull()
})

test('the lock of another machine that shares the folder holds until nobody has touched it for a minute', () => {
  const folder = join(home.run, 'up.lock')
  mkdirSync(folder, { recursive: true })
  const theirs = join(folder, 'other-host~1~77~lock_x')
  writeFileSync(theirs, '')
  expect(() => takeLock(home)).toThrow('in another container or on another machine')
  const twoMinutesAgo = new Date(Date.now() - 120_000)
  utimesSync(theirs, twoMinutesAgo, twoMinutesAgo)
  takeLock(home).release()
})

test('a garbled lock file does not keep Holon from starting', () => {
  mkdirSync(home.run, { recursive: true })
  writeFileSync(join(home.run, 'up.json'), '{"pid":')
  takeLock(home).release()
})
