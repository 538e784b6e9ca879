import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { FakeClock } from '../core/clock.ts'
import { engineLogPath, openEngineLog } from './engine-log.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holon-log-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

it('writes lines with their time, and makes a plain file name of any model', async () => {
  const path = engineLogPath(folder, 'fake', 'a/b c')
  const log = openEngineLog(path, new FakeClock(0))
  log.line('hello')
  await log.close()
  expect(await readFile(join(folder, 'fake-a_b_c.log'), 'utf8')).toBe('1970-01-01T00:00:00.000Z hello\n')
})

it('keeps one older generation and bounds both', async () => {
  const path = join(folder, 'x.log')
  const log = openEngineLog(path, new FakeClock(0), { maxFileBytes: 1000 })
  for (let line = 0; line < 100; line++) {
    log.line(`line ${line}`)
    await log.close()
  }
  const [now, older] = await Promise.all([readFile(path, 'utf8'), readFile(`${path}.1`, 'utf8')])
  expect(now.length).toBeLessThanOrEqual(1000)
  expect(older.length).toBeLessThanOrEqual(1000)
  expect(now).toContain('line 99')
})

it('loses lines rather than memory, and says how many', async () => {
  const path = join(folder, 'x.log')
  const log = openEngineLog(path, new FakeClock(0))
  for (let line = 0; line < 1000; line++) log.line('x'.repeat(20_000))
  await log.close()
  const text = await readFile(path, 'utf8')
  expect(text.length).toBeLessThan(1_100_000)
  expect(text).toMatch(/\((\d+) lines were lost/)
})
