import fc from 'fast-check'
import { expect, test } from 'vitest'
import { EarlyNo, speaksAsRead } from './early-no.ts'

const kept = 0xfeed_0000_0000_0001n
const has = (hash: string) => hash === 'feed000000000001'

function command(number: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head[0] = number
  head.writeBigUInt64LE(BigInt(payload.length), 1)
  return Buffer.concat([head, payload])
}
/** As llama.cpp asks: a tensor of some 300 bytes, an offset, the fingerprint. */
function question(hash: bigint): Buffer {
  const payload = Buffer.alloc(312, 7)
  payload.writeBigUInt64LE(hash, 304)
  return command(7, payload)
}

interface Said {
  bytes: Buffer
  /** It goes on to the worker. */
  passes: boolean
}
const said: fc.Arbitrary<Said> = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 18 }), fc.uint8Array({ maxLength: 600 }))
    .filter(([number]) => number !== 7)
    .map(([number, payload]) => ({ bytes: command(number, Buffer.from(payload)), passes: true })),
  fc.constant({ bytes: question(kept), passes: true }),
  fc.bigInt({ min: 0n, max: 2n ** 63n }).map((hash) => ({ bytes: question(hash), passes: hash === kept })),
)

test('wherever the stream is cut, it answers what is news and passes on all else, byte for byte', () => {
  fc.assert(
    fc.property(fc.array(said, { maxLength: 12 }), fc.array(fc.nat(700)), (all, cuts) => {
      const reader = new EarlyNo(has)
      const stream = Buffer.concat(all.map(({ bytes }) => bytes))
      const on: Buffer[] = []
      let back = 0
      for (let at = 0, turn = 0; at < stream.length; turn++) {
        const bytes = 1 + (cuts[turn % Math.max(1, cuts.length)] ?? 10)
        const told = reader.read(stream.subarray(at, at + bytes))
        on.push(...told.on)
        back += told.back?.length ?? 0
        at += bytes
      }
      expect(Buffer.concat(on)).toEqual(
        Buffer.concat(all.filter(({ passes }) => passes).map(({ bytes }) => bytes)),
      )
      expect(back).toBe(9 * all.filter(({ passes }) => !passes).length)
    }),
  )
})

test('says no as the worker would: one byte, 0', () => {
  expect(new EarlyNo(has).read(question(1n))).toEqual({
    on: [],
    back: Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 0]),
  })
})

test('asks the worker of weights that are kept, and what is no question it knows', () => {
  for (const one of [question(kept), command(7, Buffer.alloc(3)), command(7, Buffer.alloc(5_000))])
    expect(new EarlyNo(has).read(one)).toEqual({ on: [one], back: null })
})

test('is for the protocol that was read, whatever its operations', () => {
  expect(['7.0.0', '7.0.1', '7.1.0', '8.0.0', '17.0.0'].map(speaksAsRead)).toEqual([
    true,
    true,
    false,
    false,
    false,
  ])
})
