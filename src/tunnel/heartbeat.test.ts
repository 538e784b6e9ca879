import { expect, test } from 'vitest'
import { FakeClock } from '../core/clock.ts'
import { Heartbeat } from './heartbeat.ts'
import { defaultTiming } from './limits.ts'

function start(writeStalledMs: () => number = () => 0) {
  const clock = new FakeClock(1_000_000)
  const seen: string[] = []
  const heartbeat = new Heartbeat(clock, defaultTiming, {
    ping: () => seen.push('ping'),
    writeStalledMs,
    dead: (sentence) => seen.push(sentence),
  })
  heartbeat.start()
  return { clock, seen, heartbeat }
}

test('it pings every three seconds, and a peer that answers lives for ever', () => {
  const { clock, seen, heartbeat } = start()
  for (let i = 0; i < 100; i++) {
    clock.advance(3_000)
    heartbeat.heard()
  }
  expect(seen).toEqual(Array.from({ length: 100 }, () => 'ping'))
})

test('a half-open connection is noticed after nine seconds of silence, and told once', () => {
  const { clock, seen } = start()
  clock.advance(8_999)
  expect(seen).toEqual(['ping', 'ping'])
  clock.advance(100_000)
  expect(seen.slice(2)).toEqual(['nothing was heard from it for 9.0 s'])
})

test('a peer that pings but takes nothing of what is sent is dead too', () => {
  let stalled = 0
  const { clock, seen, heartbeat } = start(() => stalled)
  for (let i = 0; i < 10; i++) {
    heartbeat.heard()
    stalled += 3_000
    clock.advance(3_000)
  }
  expect(seen.filter((each) => each !== 'ping')).toEqual(['it took nothing of what was sent for 21.0 s'])
})

test('after this machine slept the peer gets one more beat to be heard', () => {
  const clock = new SleepyClock()
  const seen: string[] = []
  const heartbeat = new Heartbeat(clock, defaultTiming, {
    ping: () => seen.push('ping'),
    writeStalledMs: () => 60_000,
    dead: (sentence) => seen.push(sentence),
  })
  heartbeat.start()
  clock.wakeAfter(3_600_000)
  expect(seen).toEqual(['ping'])
  clock.wakeAfter(3_000)
  expect(seen).toHaveLength(2)
  expect(seen[1]).toContain('nothing was heard')
})

test('a clock set back by an hour does not grant a dead peer that hour', () => {
  const clock = new SleepyClock()
  const seen: string[] = []
  const heartbeat = new Heartbeat(clock, defaultTiming, {
    ping: () => seen.push('ping'),
    writeStalledMs: () => 0,
    dead: () => seen.push('dead'),
  })
  heartbeat.start()
  clock.wakeAfter(-3_600_000)
  for (let i = 0; i < 3; i++) clock.wakeAfter(3_000)
  expect(seen).toEqual(['ping', 'ping', 'ping', 'dead'])
})

test('a stopped heartbeat does nothing more', () => {
  const { clock, seen, heartbeat } = start()
  heartbeat.stop()
  clock.advance(60_000)
  expect(seen).toEqual([])
})

/** A clock whose timer fires late: what a machine that slept, or whose clock was set, shows its processes. */
class SleepyClock {
  private time = 1_000_000_000
  private due: (() => void) | null = null
  now(): number {
    return this.time
  }
  after(_ms: number, fn: () => void): () => void {
    this.due = fn
    return () => {
      this.due = null
    }
  }
  wakeAfter(ms: number): void {
    this.time += ms
    const fn = this.due
    this.due = null
    fn?.()
  }
}
