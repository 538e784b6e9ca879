import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FrameGuard } from './frame-guard.ts'

function frame(type: number, flags: number, streamId: number, payload = 0): Buffer {
  const bytes = Buffer.alloc(9 + payload)
  bytes.writeUIntBE(payload, 0, 3)
  bytes[3] = type
  bytes[4] = flags
  bytes.writeUInt32BE(streamId, 5)
  return bytes
}
const [DATA, HEADERS, RST, SETTINGS, PUSH, PING, WINDOW] = [0, 1, 3, 4, 5, 6, 8] as const

function flood(guard: FrameGuard, bytes: Buffer, times: number): string | null {
  for (let i = 0; i < times; i++) {
    const fault = guard.feed(bytes, 0)
    if (fault) return fault
  }
  return null
}

test('an answer in any number of data frames is fine, and its end is seen wherever the bytes are cut', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (cuts) => {
      const guard = new FrameGuard()
      guard.open(1)
      guard.open(3)
      const bytes = Buffer.concat([
        frame(SETTINGS, 0, 0, 18),
        frame(HEADERS, 4, 1, 30),
        frame(HEADERS, 4, 3, 10),
        frame(DATA, 0, 1, 100),
        frame(DATA, 1, 1, 0),
        frame(DATA, 0, 3, 5),
      ])
      for (let at = 0, i = 0; at < bytes.length; i++) {
        const size = cuts[i % cuts.length]!
        expect(guard.feed(bytes.subarray(at, at + size), 0)).toBeNull()
        at += size
      }
      expect([guard.sawEnd(1), guard.sawEnd(3), guard.sawEnd(5)]).toEqual([true, false, false])
      expect(guard.partialMs(1_000)).toBe(0)
    }),
  )
})

test('ends are remembered for open streams only', () => {
  const guard = new FrameGuard()
  guard.open(1)
  guard.forget(1)
  guard.feed(frame(DATA, 1, 1), 0)
  expect(guard.sawEnd(1)).toBe(false)
})

test.each([
  ['SETTINGS', frame(SETTINGS, 0, 0, 6), 17],
  ['PING', frame(PING, 0, 0, 8), 33],
  ['control frames', frame(WINDOW, 0, 0, 4), 8_193],
  ['empty frames', frame(DATA, 0, 1), 8_193],
  ['answers and resets', frame(RST, 0, 1, 4), 65],
  ['answers and resets', frame(HEADERS, 4, 1, 4), 65],
] as const)('a flood of %s is a fault, one less is not', (name, bytes, fatal) => {
  expect(flood(new FrameGuard(), bytes, fatal - 1)).toBeNull()
  expect(flood(new FrameGuard(), bytes, fatal)).toContain(name)
})

test('one reset and some heads per request are no flood, however many requests', () => {
  const guard = new FrameGuard()
  for (let id = 1; id < 20_000; id += 2) {
    guard.open(id)
    expect(guard.feed(frame(HEADERS, 4, id, 20), 0)).toBeNull()
    expect(guard.feed(frame(RST, 0, id, 4), 0)).toBeNull()
    guard.forget(id)
  }
})

test('a push is a fault', () => {
  expect(new FrameGuard().feed(frame(PUSH, 4, 1, 4), 0)).toContain('push')
})

test('a frame that was begun ages until it is whole, unless this end did not read', () => {
  const guard = new FrameGuard()
  guard.feed(frame(DATA, 0, 1, 100).subarray(0, 50), 1_000)
  guard.feed(Buffer.alloc(10), 5_000)
  expect(guard.partialMs(6_000)).toBe(5_000)
  guard.excuse(6_000)
  expect(guard.partialMs(6_500)).toBe(500)
  guard.feed(Buffer.alloc(49), 7_000)
  expect(guard.partialMs(9_000)).toBe(0)
  guard.feed(Buffer.of(0, 0), 9_000)
  expect(guard.partialMs(9_700)).toBe(700)
})
