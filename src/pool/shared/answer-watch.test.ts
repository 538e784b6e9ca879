import { expect, test } from 'vitest'
import { FakeClock } from '../../core/clock.ts'
import { AnswerWatch, silenceAllowed, silenceBetweenWords } from './answer-watch.ts'

const settled = () => new Promise((resolve) => setImmediate(resolve))

function stand(over: { word?: () => string | null; prove?: () => Promise<void> } = {}) {
  const clock = new FakeClock()
  const deaths: string[] = []
  let proofs = 0
  const watch = new AnswerWatch({
    clock,
    lookEveryMs: 1_000,
    look: async () => over.word?.() ?? null,
    proveEveryMs: 15_000,
    prove: async () => {
      proofs++
      await over.prove?.()
    },
    dead: (reason) => void deaths.push(reason),
  })
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000)
      await settled()
    }
  }
  return { watch, deaths, pass, proofs: () => proofs }
}

test('an answer that says nothing for longer than allowed is the end of the engine', async () => {
  const { watch, deaths, pass } = stand()
  watch.begin(20_000)
  await pass(20)
  expect(deaths).toEqual([])
  await pass(1)
  expect(deaths).toEqual(['Nothing came out of an answer for 20 s: the group hangs.'])
})

test('an answer that goes on may last for ever, and a finished one is forgotten', async () => {
  const { watch, deaths, pass } = stand()
  const answer = watch.begin(20_000)
  for (let word = 0; word < 100; word++) {
    answer.progress(silenceBetweenWords)
    await pass(25)
  }
  answer.end()
  await pass(60)
  expect(deaths).toEqual([])
})

test('an idle engine is asked for one token, a busy one is not', async () => {
  const { watch, pass, proofs } = stand()
  await pass(14)
  expect(proofs()).toBe(0)
  await pass(1)
  expect(proofs()).toBe(1)
  const answer = watch.begin(1_000_000)
  await pass(60)
  expect(proofs()).toBe(1)
  answer.end()
  await pass(1)
  expect(proofs()).toBe(2)
})

test('a token that cannot be had, and its own word that it is dead, end it once', async () => {
  const refusing = stand({ prove: () => Promise.reject(new Error('status 500')) })
  await refusing.pass(40)
  expect(refusing.deaths).toEqual(['It was asked for one token and failed: status 500'])
  const telling = stand({ word: () => 'Its generation thread died.' })
  await telling.pass(5)
  expect(telling.deaths).toEqual(['Its generation thread died.'])
})

test('stopped, it says nothing any more', async () => {
  const { watch, deaths, pass } = stand({ word: () => 'gone' })
  watch.begin(1_000)
  watch.stop()
  await pass(60)
  expect(deaths).toEqual([])
})

test('a longer prompt may take longer, and so may an answer that is not streamed', () => {
  const short = silenceAllowed({ stream: true, prompt: 'Hi' }, 512)
  expect(short).toBeLessThan(21_000)
  expect(silenceAllowed({ stream: true, prompt: 'x'.repeat(40_000) }, 512)).toBeGreaterThan(short + 190_000)
  expect(silenceAllowed({ prompt: 'Hi', max_tokens: 100 }, 512)).toBeCloseTo(short + 100_000, -3)
  expect(silenceAllowed({ prompt: 'Hi' }, 512)).toBeGreaterThan(short + 500_000)
})
