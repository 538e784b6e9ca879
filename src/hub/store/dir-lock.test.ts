import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockDir } from './dir-lock.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holon-lock-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

test('a second owner is refused until the first lets go', () => {
  const unlock = lockDir(dir)
  expect(() => lockDir(dir)).toThrow(expect.objectContaining({ code: 'already_running' }))
  unlock()
  unlock()
  lockDir(dir)()
})

test('the lock of a process that lives is respected, of one that died taken over', async () => {
  const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
  await once(other, 'spawn')
  writeFileSync(join(dir, 'lock'), String(other.pid))
  expect(() => lockDir(dir)).toThrow(new RegExp(`in use by process ${other.pid}`))
  other.kill('SIGKILL')
  await once(other, 'exit')
  lockDir(dir)()
})

test('a lock with our own number from an earlier life is taken over, as in a container', () => {
  writeFileSync(join(dir, 'lock'), String(process.pid))
  lockDir(dir)()
})

test('a lock that nobody refreshes is taken over although its number is in use again', () => {
  writeFileSync(join(dir, 'lock'), '1')
  const longAgo = new Date(Date.now() - 3_600_000)
  utimesSync(join(dir, 'lock'), longAgo, longAgo)
  const unlock = lockDir(dir)
  expect(readFileSync(join(dir, 'lock'), 'utf8')).toBe(String(process.pid))
  unlock()
})
