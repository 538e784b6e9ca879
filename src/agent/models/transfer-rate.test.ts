import { expect, it } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { TransferRate } from './transfer-rate.ts'

it('tells the speed of the last seconds, not of the whole transfer', () => {
  const clock = new FakeClock()
  const rate = new TransferRate(clock, 5_000)
  let bytes = 0
  for (let second = 0; second < 20; second++) {
    rate.sample(bytes)
    clock.advance(1_000)
    bytes += second < 10 ? 10_000 : 1_000
  }
  expect(rate.bytesPerSecond).toBe(1_000)
})

it('knows nothing at first, and starts anew when the transfer does', () => {
  const clock = new FakeClock()
  const rate = new TransferRate(clock)
  expect(rate.bytesPerSecond).toBeNull()
  rate.sample(1_000_000)
  expect(rate.bytesPerSecond).toBeNull()
  clock.advance(1_000)
  rate.sample(0)
  clock.advance(1_000)
  rate.sample(500)
  expect(rate.bytesPerSecond).toBe(500)
})

it('keeps few samples however many chunks come', () => {
  const clock = new FakeClock()
  const rate = new TransferRate(clock)
  for (let chunk = 0; chunk < 10_000; chunk++) {
    rate.sample(chunk * 100)
    clock.advance(1)
  }
  expect(rate.bytesPerSecond).toBeGreaterThan(90_000)
  expect(rate.bytesPerSecond).toBeLessThan(110_000)
})
