import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { silentLog } from '../../core/log.ts'
import type { Lesson } from '../scheduler/lesson.ts'
import { LessonBook } from './lesson-book.ts'

let dir: string
let clock: FakeClock
let learned: Lesson[]
let warnings: string[]
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holon-lessons-'))
  clock = new FakeClock(1_700_000_000_000)
  learned = []
  warnings = []
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const book = () =>
  new LessonBook({
    ...{ dir, clock, learned: () => learned },
    log: { ...silentLog, warn: (_: unknown, text: string) => void warnings.push(text) } as typeof silentLog,
  })
const aLesson = (model: string): Lesson => ({
  ...{ node: 'oak', model, sizeBytes: 5e9, loadS: 4.5, prefill: null },
  estimate: {
    ...{ prefill0: 1e-3, prefill1: 0, decode0: 0.05, decode1: 1e-7, crowding: 0.2 },
    ...{ basis: 'modelled', shape: 'known' },
  },
  decode: { meanLog: 0.2, weight: 3, atS: 1_700_000_000 },
})
const path = () => join(dir, 'learned.json')

test('what was learned is there in the next life, after an end in order and up to a minute before one without', async () => {
  const first = book()
  expect(await first.read()).toEqual([])
  first.keep()
  learned = [aLesson('a')]
  clock.advance(60_000)
  await expect.poll(() => readFile(path(), 'utf8').catch(() => '')).toContain('"model":"a"')
  expect(await book().read()).toEqual([aLesson('a')])
  learned = [aLesson('a'), aLesson('b')]
  await first.close()
  expect(await book().read()).toEqual([aLesson('a'), aLesson('b')])
  expect(warnings).toEqual([])
})

test('a hub that learned nothing writes nothing, and one that never came up does not write over what is there', async () => {
  const idle = book()
  idle.keep()
  clock.advance(600_000)
  await idle.close()
  await expect(readFile(path())).rejects.toThrow('ENOENT')
  await writeFile(path(), 'of another life')
  learned = [aLesson('a')]
  await book().close()
  expect(await readFile(path(), 'utf8')).toBe('of another life')
})

test.each([
  ['torn', '{"version":1,"less'],
  ['of another version', '{"version":2,"lessons":[]}'],
  [
    'changed by hand',
    JSON.stringify({ version: 1, lessons: [{ ...aLesson('a'), decode: { meanLog: 'fast' } }] }),
  ],
])('a file that is %s is learned anew, and said so', async (_, text) => {
  await writeFile(path(), text)
  expect(await book().read()).toEqual([])
  expect(warnings).toEqual(['what the fleet learned of its speeds could not be read'])
})
