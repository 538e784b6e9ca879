import { expect, test } from 'vitest'
import { type Clock, HeldDatagrams } from './held-datagrams.ts'

/** Time that moves when it is told to. */
class Hands implements Clock {
  private ms = 0
  private waiting: { at: number; then: () => void }[] = []
  now = () => this.ms
  after = (ms: number, then: () => void) => void this.waiting.push({ at: this.ms + ms, then })

  pass(ms: number): void {
    const until = this.ms + ms
    while (this.ms < until) {
      this.ms = Math.min(until, this.ms + 0.1)
      const due = this.waiting.filter(({ at }) => at <= this.ms)
      this.waiting = this.waiting.filter(({ at }) => at > this.ms)
      for (const { then } of due) then()
    }
  }
}

test('every datagram is held for the time and none for much longer', () => {
  const clock = new Hands()
  const sent: { what: number; at: number }[] = []
  const held = new HeldDatagrams({ holdMs: 0.5, clock })
  for (let what = 0; what < 5; what++) {
    const at = clock.now()
    held.take(() => sent.push({ what, at: clock.now() - at }))
    clock.pass(0.2)
  }
  clock.pass(1)
  expect(sent.map(({ what }) => what)).toEqual([0, 1, 2, 3, 4])
  for (const { at } of sent) {
    expect(at).toBeGreaterThanOrEqual(0.5)
    expect(at).toBeLessThan(0.75)
  }
})

test('a long wait is slept, not spent looking', () => {
  const clock = new Hands()
  let looks = 0
  const held = new HeldDatagrams({
    holdMs: 50,
    clock: {
      now: clock.now,
      after: (ms, then) =>
        clock.after(ms, () => {
          looks += 1
          then()
        }),
    },
  })
  let sent = false
  held.take(() => {
    sent = true
  })
  clock.pass(60)
  expect(sent).toBe(true)
  expect(looks).toBeLessThan(25)
})

test('a queue that is full drops what comes and says how much', () => {
  const clock = new Hands()
  let sent = 0
  const send = () => {
    sent += 1
  }
  const held = new HeldDatagrams({ holdMs: 1, clock, most: 3 })
  for (let i = 0; i < 5; i++) held.take(send)
  clock.pass(2)
  expect(sent).toBe(3)
  expect(held.dropped).toBe(2)
  held.take(send)
  clock.pass(2)
  expect(sent).toBe(4)
})
