import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

const never = new AbortController().signal

test('takes turns in the order of asking', async () => {
  const turns = new Turns()
  const seen: number[] = []
  const first = await turns.take(never)
  const noted = (number: number) => (done: () => void) => {
    seen.push(number)
    return done
  }
  const second = turns.take(never).then(noted(2))
  const third = turns.take(never).then(noted(3))
  expect(seen).toEqual([])
  first()
  ;(await second)()
  ;(await third)()
  expect(seen).toEqual([2, 3])
})

test('one that gives up waiting holds nobody up, and lets nobody past the one before it', async () => {
  const turns = new Turns()
  const first = await turns.take(never)
  const leaver = new AbortController()
  const second = turns.take(leaver.signal)
  let third = false
  const third_ = turns.take(never).then((done) => {
    third = true
    done()
  })
  leaver.abort(new Error('left'))
  await expect(second).rejects.toThrow('left')
  await new Promise((resolve) => setImmediate(resolve))
  expect(third).toBe(false)
  first()
  await third_
  expect(third).toBe(true)
})
