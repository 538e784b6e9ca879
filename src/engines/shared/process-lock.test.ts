import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { childEntry } from '../../core/child-entry.ts'
import { isRunning, processStart, tryLock } from './process-lock.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holon-process-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const module = pathToFileURL(childEntry(import.meta.url, './process-lock.ts')).href
const inChild = ['--input-type=module', '-e'] as const

/** A lock whose holder was ended without a chance to release it. */
function leaveStale(path: string): void {
  const program = `
    const { tryLock } = await import(${JSON.stringify(module)})
    tryLock(${JSON.stringify(path)})
    process.kill(process.pid, 'SIGKILL')`
  spawnSync(process.execPath, [...inChild, program])
  expect(readdirSync(path)).toHaveLength(1)
}

/** The only file of a lock, under another name. */
function forge(path: string, name: string, ageS: number): void {
  mkdirSync(path)
  writeFileSync(join(path, name), '')
  const then = new Date(Date.now() - ageS * 1000)
  utimesSync(join(path, name), then, then)
}

test('is one process’s at a time, this one’s as well, and leaves nothing behind', () => {
  const path = join(folder, 'a.lock')
  const first = tryLock(path)
  expect(first?.held()).toBe(true)
  expect(tryLock(path)).toBeNull()
  first?.release()
  first?.release()
  expect(first?.held()).toBe(false)
  expect(readdirSync(folder)).toEqual([])
  const second = tryLock(path)
  expect(second?.held()).toBe(true)
  // Told again, the first must not give away what is the second's.
  first?.release()
  expect(second?.held()).toBe(true)
  second?.release()
})

test('is taken over from a process that was killed', () => {
  const path = join(folder, 'a.lock')
  leaveStale(path)
  const lock = tryLock(path)
  expect(lock?.held()).toBe(true)
  expect(tryLock(path)).toBeNull()
  lock?.release()
  expect(readdirSync(folder)).toEqual([])
})

test('goes to exactly one of several processes, round after round, when the last holder was killed', async () => {
  const rounds = 150
  leaveStale(join(folder, 'stale'))
  const [dead] = readdirSync(join(folder, 'stale'))
  for (let round = 0; round < rounds; round++) forge(join(folder, `${round}`), `${dead}`, 0)
  const program = `
    const { tryLock } = await import(${JSON.stringify(module)})
    console.error('ready')
    process.stdin.on('data', () => {
      const won = []
      for (let round = 0; round < ${rounds}; round++) {
        for (let time = 0; time < 3; time++) {
          if (tryLock(${JSON.stringify(folder)} + '/' + round)?.held()) won.push(round)
        }
      }
      console.log(JSON.stringify(won))
      // Nobody's lock may become stale before all are through.
      process.stdin.on('end', () => process.exit(0))
    })`
  const children = Array.from({ length: 4 }, () => spawn(process.execPath, [...inChild, program]))
  await Promise.all(children.map(({ stderr }) => once(stderr, 'data')))
  const told = children.map(({ stdout }) => once(stdout, 'data'))
  for (const { stdin } of children) stdin.write('go\n')
  const won = (await Promise.all(told)).flatMap(([line]) => JSON.parse(`${line}`) as number[])
  for (const { stdin } of children) stdin.end()
  expect(won.sort((a, b) => a - b)).toEqual(Array.from({ length: rounds }, (_, round) => round))
})

test('of a machine that cannot be asked is taken over when nobody has touched it for long', () => {
  forge(join(folder, 'fresh'), 'other-host~1~77~lock_x', 20)
  expect(tryLock(join(folder, 'fresh'))).toBeNull()
  forge(join(folder, 'old'), 'other-host~1~77~lock_x', 3600)
  const lock = tryLock(join(folder, 'old'))
  expect(lock?.held()).toBe(true)
  // It is as fresh as a new one.
  expect(tryLock(join(folder, 'old'))).toBeNull()
  lock?.release()
})

test.runIf(process.platform === 'linux')('is not held by another process with the old number', () => {
  const path = join(folder, 'a.lock')
  const own = tryLock(path)
  const [name = ''] = readdirSync(path)
  own?.release()
  forge(path, name.replace(`~${processStart(process.pid)}~`, '~1~'), 0)
  const lock = tryLock(path)
  expect(lock?.held()).toBe(true)
  lock?.release()
  expect(isRunning({ pid: process.pid, start: '1' })).toBe(false)
  expect(isRunning({ pid: process.pid, start: processStart(process.pid) })).toBe(true)
  expect(isRunning({ pid: 2 ** 22 - 1, start: null })).toBe(false)
})

test('takes the place of what power cuts, desktops and earlier versions leave', () => {
  mkdirSync(join(folder, 'empty'))
  writeFileSync(join(folder, 'file'), '{"pid":1}')
  forge(join(folder, 'foreign'), '.DS_Store', 0)
  for (const name of ['empty', 'file', 'foreign']) {
    const lock = tryLock(join(folder, name))
    expect(lock?.held(), name).toBe(true)
    lock?.release()
    expect(existsSync(join(folder, name))).toBe(false)
  }
})
