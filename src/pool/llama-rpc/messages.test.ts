import fc from 'fast-check'
import { expect, test } from 'vitest'
import { answersMayWait, requestsMayWait } from './messages.ts'

const size = (bytes: number): Buffer => {
  const written = Buffer.alloc(8)
  written.writeBigUInt64LE(BigInt(bytes))
  return written
}
const request = (command: number, bytes: number): Buffer =>
  Buffer.concat([Buffer.from([command]), size(bytes), Buffer.alloc(bytes, 0xff)])

test('a token’s inputs wait for the graph that uses them, and a result is asked for at once', () => {
  const mayWait = requestsMayWait()
  const [setTensor, getTensor, recompute] = [6, 8, 16]
  const waits = [
    request(setTensor, 300),
    request(setTensor, 0),
    request(recompute, 4),
    request(getTensor, 312),
  ]
    .flatMap((whole) => [whole.subarray(0, 1), whole.subarray(1, 9), whole.subarray(9)])
    .map(mayWait)
  expect(waits).toEqual([
    ...[true, true, true],
    ...[true, true, true],
    ...[true, true, false],
    ...[true, true, false],
  ])
})

test('of an answer only the size waits, unless there is nothing to follow it', () => {
  const mayWait = answersMayWait()
  expect([size(20), Buffer.alloc(12), Buffer.alloc(8), size(0), size(5).subarray(0, 3)].map(mayWait)).toEqual(
    [true, false, false, false, true],
  )
})

test('however the pieces are cut, what ends with a message that somebody waits for does not wait', () => {
  const message = fc.record({ command: fc.constantFrom(0, 6, 8, 10, 14, 16), bytes: fc.nat(600) })
  fc.assert(
    fc.property(
      fc.array(message, { minLength: 1 }),
      fc.array(fc.integer({ min: 1, max: 40 })),
      (all, cuts) => {
        const stream = Buffer.concat(all.map(({ command, bytes }) => request(command, bytes)))
        const mayWait = requestsMayWait()
        let last = true
        for (let at = 0, turn = 0; at < stream.length; turn++) {
          const end = at + (cuts[turn] ?? stream.length)
          last = mayWait(stream.subarray(at, end))
          if (end < stream.length && !boundaries(all).has(end)) expect(last).toBe(true)
          at = end
        }
        expect(last).toBe(all.at(-1)?.command === 6)
      },
    ),
  )
})

function boundaries(all: { bytes: number }[]): Set<number> {
  let at = 0
  return new Set(all.map(({ bytes }) => (at += 9 + bytes)))
}
