import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ByteTail } from './byte-tail.ts'

test('the tail of a stream is the same as that of all its bytes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 40 }),
      fc.array(fc.uint8Array({ maxLength: 60 })),
      (size, chunks) => {
        const tail = new ByteTail(size)
        for (const chunk of chunks) tail.push(Buffer.from(chunk))
        const all = Buffer.concat(chunks)
        expect(tail.bytes()).toEqual(all.subarray(Math.max(0, all.length - size)))
      },
    ),
  )
})
