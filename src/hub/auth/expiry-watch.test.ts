import { expect, test } from 'vitest'
import { type Clock, FakeClock } from '../../core/clock.ts'
import { noLimits } from '../../protocol/keys.ts'
import { ExpiryWatch } from './expiry-watch.ts'
import { Key } from './keyring.ts'

const hour = 3_600_000

/** Counts the timers that are set and not yet over. */
class CountedClock implements Clock {
  readonly inner = new FakeClock(1_000_000)
  pending = 0

  now(): number {
    return this.inner.now()
  }

  after(ms: number, fn: () => void): () => void {
    this.pending++
    let over = false
    const end = (): void => {
      if (!over) this.pending--
      over = true
    }
    const cancel = this.inner.after(ms, () => {
      end()
      fn()
    })
    return () => {
      end()
      cancel()
    }
  }
}

function stand(...lives: (number | null)[]) {
  const clock = new CountedClock()
  const ended: number[] = []
  const keys = lives.map((lifeMs, at) => {
    const key = new Key(
      {
        ...{ id: `key_${at}`, hash: '', hint: '', label: `key ${at}`, models: null, lanes: ['production'] },
        ...{
          admin: false,
          limits: noLimits,
          createdBy: 'test',
          createdMs: 0,
          revokedMs: null,
          revokedBy: null,
        },
        expiresMs: lifeMs === null ? null : clock.now() + lifeMs,
      },
      { now: () => clock.now(), seconds: () => clock.now() / 1000 },
    )
    const cut = (): void => {
      ended.push(at)
      key.end(seat)
    }
    const seat = key.begin({ lane: 'production', cut })
    return key
  })
  return { clock, ended, watch: new ExpiryWatch(() => keys, clock) }
}

test('keys end their answers when they expire, each in its time, over one timer', () => {
  const { clock, ended, watch } = stand(3 * hour, hour, null, hour, 90 * 24 * hour)
  watch.look()
  watch.look()
  expect(clock.pending).toBe(1)
  clock.inner.advance(hour - 1)
  expect(ended).toEqual([])
  clock.inner.advance(1)
  expect(ended).toEqual([1, 3])
  expect(clock.pending).toBe(1)
  clock.inner.advance(2 * hour)
  expect(ended).toEqual([1, 3, 0])
  clock.inner.advance(90 * 24 * hour)
  expect(ended).toEqual([1, 3, 0, 4])
  expect(clock.pending).toBe(0)
})

test('a hub whose keys do not expire, or that is closed, sets no timer', () => {
  const without = stand(null, null)
  without.watch.look()
  expect(without.clock.pending).toBe(0)
  const closed = stand(hour)
  closed.watch.look()
  closed.watch.close()
  expect(closed.clock.pending).toBe(0)
})
