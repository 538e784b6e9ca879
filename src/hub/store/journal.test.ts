import { type FileHandle, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { silentLog } from '../../core/log.ts'
import { Journal } from './journal.ts'

let dir: string
let clock: FakeClock
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'holon-journal-'))
  clock = new FakeClock(1_700_000_000_000)
})
afterEach(() => rm(dir, { recursive: true, force: true }))

async function openJournal(more: { fileBytes?: number; maxBytes?: number } = {}): Promise<Journal> {
  const journal = new Journal({ dir, clock, log: silentLog, ...more })
  await journal.open()
  return journal
}
const content = async () => {
  const names = (await readdir(dir)).sort()
  return (await Promise.all(names.map((name) => readFile(join(dir, name), 'utf8'))))
    .join('')
    .split('\n')
    .filter(Boolean)
}

test('a line is on disk a quarter of a second later, without being asked for', async () => {
  const journal = await openJournal()
  journal.append('one')
  journal.append('two')
  expect(await content()).toEqual([])
  clock.advance(250)
  await journal.flush()
  expect(await content()).toEqual(['one', 'two'])
  await journal.close()
})

test('sealed files are named in order and the present one goes on in a new file', async () => {
  const journal = await openJournal({ fileBytes: 10 })
  for (const line of ['a'.repeat(20), 'b'.repeat(20), 'c']) {
    journal.append(line)
    await journal.flush()
  }
  const files = await journal.sealed()
  expect(files).toHaveLength(3)
  journal.append('d')
  await journal.flush()
  for (const file of files) await journal.remove(file)
  expect(await content()).toEqual(['d'])
  await journal.close()
})

test('files of an earlier life are found first', async () => {
  const first = await openJournal()
  first.append('old')
  await first.close()
  clock.advance(60_000)
  const second = await openJournal()
  second.append('new')
  const files = await second.sealed()
  expect(await Promise.all(files.map((file) => readFile(file, 'utf8')))).toEqual(['old\n', 'new\n'])
  await second.close()
})

test('a full journal drops new lines and counts them, and takes lines again once it was emptied', async () => {
  const journal = await openJournal({ maxBytes: 100 })
  journal.append('x'.repeat(200))
  await journal.flush()
  journal.append('lost')
  expect(journal.dropped).toBe(1)
  for (const file of await journal.sealed()) await journal.remove(file)
  journal.append('kept')
  await journal.flush()
  expect(await content()).toEqual(['kept'])
  await journal.close()
})

test('a disk that refuses keeps the lines in memory until it takes them', async () => {
  const journal = await openJournal()
  await rm(dir, { recursive: true })
  await writeFile(dir, 'in the way')
  journal.append('patient')
  await journal.flush()
  await rm(dir)
  await journal.open()
  clock.advance(1_000)
  await journal.flush()
  expect(await content()).toEqual(['patient'])
  await journal.close()
})

test('a disk that is full in the middle of the first line of a file loses no line once there is room', async () => {
  const any = await open(join(dir, 'any'), 'w')
  const full = vi.spyOn(Object.getPrototypeOf(any) as FileHandle, 'appendFile')
  await any.close()
  await rm(join(dir, 'any'))
  full.mockImplementationOnce(async function (this: FileHandle, text) {
    await this.write(String(text).slice(0, 3))
    throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
  })
  const journal = await openJournal()
  journal.append('first')
  await journal.flush()
  journal.append('second')
  await journal.flush()
  full.mockRestore()
  expect(await content()).toEqual(['fir', 'first', 'second'])
  await journal.close()
})
