import { expect, it } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { pause, retry, TransientFault } from './retry.ts'

const limits = { maxFailures: 4, backoffMs: 1_000, maxBackoffMs: 3_000 }

/** Runs `attempt` with time moving on by itself; returns the pauses it made. */
async function run(attempt: () => Promise<string>, progressed?: () => boolean) {
  const clock = new FakeClock()
  const pauses: number[] = []
  const outcome = await retry(attempt, {
    limits,
    clock,
    signal: new AbortController().signal,
    progressed,
    onRetry: (_, pauseMs) => {
      pauses.push(pauseMs)
      queueMicrotask(() => clock.advance(pauseMs))
    },
  }).catch((error) => error)
  return { outcome, pauses }
}
const cut = (retryAfterS?: number) => new TransientFault('cut', { retryAfterS })

it('pauses longer after every failure in a row, then gives up with the last one', async () => {
  const { outcome, pauses } = await run(() => Promise.reject(cut()))
  expect(outcome).toMatchObject({ code: 'download_failed', message: 'cut' })
  expect(pauses).toEqual([1_000, 2_000, 3_000])
})

it('counts anew after progress', async () => {
  let tries = 0
  const { outcome, pauses } = await run(
    async () => {
      if (++tries < 20) throw cut()
      return 'done'
    },
    () => true,
  )
  expect(outcome).toBe('done')
  expect(new Set(pauses)).toEqual(new Set([1_000]))
})

it('waits as long as the server asks, within bounds', async () => {
  expect((await run(() => Promise.reject(cut(2)))).pauses).toEqual([2_000, 2_000, 3_000])
  expect((await run(() => Promise.reject(cut(3_600)))).pauses).toEqual([3_000, 3_000, 3_000])
})

it('does not try again what cannot get better', async () => {
  let tries = 0
  const { outcome } = await run(() => {
    tries++
    return Promise.reject(new HolonError('model_not_found', 'No such file.'))
  })
  expect([tries, outcome.code]).toEqual([1, 'model_not_found'])
})

it('stops at once when the caller gives up, also in a pause', async () => {
  const controller = new AbortController()
  const waiting = pause(60_000, new FakeClock(), controller.signal)
  controller.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  const late = retry(() => Promise.resolve(1), { limits, clock: new FakeClock(), signal: controller.signal })
  await expect(late).rejects.toThrow('enough')
})
