import { expect, it } from 'vitest'
import { AnswerMeter } from './answer-speed.ts'

function meterAt() {
  const clock = { ms: 1000 }
  return { clock, meter: new AnswerMeter(() => clock.ms) }
}

it('measures the first token from sending and the speed from the first token', () => {
  const { clock, meter } = meterAt()
  expect(meter.read()).toEqual({ ttftS: null, cold: false, tokens: 0, exact: false, tokS: null })
  clock.ms += 500
  meter.chunk()
  expect(meter.read()).toMatchObject({ ttftS: 0.5, tokens: 1, tokS: null })
  for (let n = 0; n < 10; n++) {
    clock.ms += 100
    meter.chunk()
  }
  expect(meter.read()).toMatchObject({ ttftS: 0.5, tokens: 11, exact: false, tokS: 10 })
})

it('lets the usage of the API correct the count of chunks', () => {
  const { clock, meter } = meterAt()
  meter.loading()
  meter.chunk()
  clock.ms += 1000
  meter.chunk()
  meter.usage(41)
  clock.ms += 9000
  expect(meter.read()).toEqual({ ttftS: 0, cold: true, tokens: 41, exact: true, tokS: 40 })
})

it('claims no speed for an answer that came in one piece', () => {
  const { clock, meter } = meterAt()
  meter.chunk()
  clock.ms += 1000
  meter.usage(100)
  expect(meter.read().tokS).toBeNull()
})

it('claims no speed for a burst too short to measure', () => {
  const { clock, meter } = meterAt()
  meter.chunk()
  clock.ms += 10
  meter.chunk()
  meter.usage(100)
  expect(meter.read().tokS).toBeNull()
})
