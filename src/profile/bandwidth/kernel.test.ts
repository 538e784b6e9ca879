import { randomFillSync } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  allocateShared,
  compileKernel,
  type Kernel,
  kernelBytes,
  openKernel,
  READ_STEP_BYTES,
  SPIN_CYCLES,
} from './kernel.ts'

const SIZE = 64 * 1024
let bytes: Uint8Array
let kernel: Kernel

beforeAll(() => {
  const memory = allocateShared(SIZE)
  kernel = openKernel(compileKernel(), memory)
  bytes = new Uint8Array(memory.buffer)
  const random = new Uint8Array(SIZE)
  randomFillSync(random)
  bytes.set(random)
})

/** The same sum, made the slow way. */
function xorOfWords(from: number, to: number): bigint {
  const words = new BigInt64Array(bytes.slice(from, to).buffer)
  return words.reduce((sum, word) => sum ^ word, 0n)
}

describe('the hand-written kernel', () => {
  it('is a module that the engine accepts', () => {
    expect(() => compileKernel()).not.toThrow()
    expect(kernelBytes().length).toBeLessThan(1000)
  })

  it('reads every byte of its range: its sum is the sum made in JavaScript', () => {
    expect(kernel.read(0, SIZE)).toBe(xorOfWords(0, SIZE))
    expect(kernel.read(1024, 1024 + 5 * READ_STEP_BYTES)).toBe(xorOfWords(1024, 1024 + 5 * READ_STEP_BYTES))
  })

  it('notices one changed bit anywhere, so nothing is skipped', () => {
    const before = kernel.read(0, READ_STEP_BYTES)
    for (let at = 0; at < READ_STEP_BYTES; at++) {
      bytes[at] = bytes[at]! ^ 1
      expect(kernel.read(0, READ_STEP_BYTES)).not.toBe(before)
      bytes[at] = bytes[at]! ^ 1
    }
  })

  it('copies exactly the bytes it is told to', () => {
    const source = bytes.slice(SIZE / 2, SIZE / 2 + 1000)
    const beyond = bytes[3000 + 1000]
    kernel.copy(3000, SIZE / 2, 1000)
    expect(bytes.slice(3000, 4000)).toEqual(source)
    expect(bytes[3000 + 1000]).toBe(beyond)
  })

  it('calculates every turn of its chain: the result is the one made in JavaScript', () => {
    let x = 0
    for (let turns = 3; turns > 0; turns--)
      for (let step = 0; step < SPIN_CYCLES / 2; step++) {
        x ^= turns
        x = (x << 5) | (x >>> 27)
      }
    expect(kernel.spin(3)).toBe(x)
  })

  it('traps instead of reading outside the memory', () => {
    expect(() => kernel.read(SIZE - READ_STEP_BYTES, SIZE + READ_STEP_BYTES)).toThrow(/out of bounds/)
  })
})
