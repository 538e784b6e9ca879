import { expect, test } from 'vitest'
import { FakeClock } from '../core/clock.ts'
import { silentLog } from '../core/log.ts'
import { QuietLog } from './quiet-log.ts'

test('the same thing is said once a minute, with the count of what was left out', () => {
  const clock = new FakeClock()
  const said: object[] = []
  const quiet = new QuietLog(
    { ...silentLog, warn: (fields, message) => said.push({ ...fields, message }) },
    clock,
  )
  for (let i = 0; i < 1_000; i++) quiet.warn('m1', { node: 'm1' }, 'gone')
  quiet.warn('m2', {}, 'gone')
  clock.advance(60_000)
  quiet.warn('m1', { node: 'm1' }, 'gone')
  expect(said).toEqual([
    { node: 'm1', message: 'gone' },
    { message: 'gone' },
    { node: 'm1', unsaid: 999, message: 'gone' },
  ])
})
