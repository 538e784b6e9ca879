import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { charsOfBlock, maxBlocks, PrefixHasher, PrefixMemory } from './prefix-memory.ts'

function blocksOf(parts: readonly string[], key: readonly [number, number] = [1, 2]): number[] {
  const hasher = new PrefixHasher(key)
  for (const part of parts) hasher.feed(part)
  return hasher.blocks
}

function seen(memory: PrefixMemory, hash: number): [number, number, number][] {
  const found: [number, number, number][] = []
  memory.look(hash, ({ gauge, served, value }) => found.push([gauge, served, value]))
  return found
}

/** Texts that are alike at first. */
const text = fc.string({ maxLength: 4_000 }).map((tail) => `${'a common beginning '.repeat(20)}${tail}`)

describe('hashes of the beginning of a prompt', () => {
  test('do not depend on the pieces it comes in', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 700 }), { maxLength: 8 }), (parts) => {
        expect(blocksOf(parts)).toEqual(blocksOf([parts.join('')]))
      }),
    )
  })

  test('are equal as far as two prompts are, and differ from there on', () => {
    fc.assert(
      fc.property(text, text, (one, other) => {
        let same = 0
        while (same < Math.min(one.length, other.length) && one[same] === other[same]) same++
        const [a, b] = [blocksOf([one]), blocksOf([other])]
        for (let block = 0; block < Math.min(a.length, b.length); block++) {
          expect(a[block] === b[block]).toBe(charsOfBlock(block) <= same)
        }
      }),
    )
  })

  test('are other ones under another key, fit into a number, and are never 0', () => {
    fc.assert(
      fc.property(text, fc.integer(), fc.integer(), (prompt, a, b) => {
        const blocks = blocksOf([prompt], [a, b])
        for (const hash of blocks) expect(Number.isSafeInteger(hash) && hash > 0).toBe(true)
        if (a !== 1 || b !== 2) expect(blocks).not.toEqual(blocksOf([prompt]))
      }),
    )
  })

  test('end with the last block, however long the prompt', () => {
    const hasher = new PrefixHasher([1, 2])
    hasher.feed('x'.repeat(charsOfBlock(maxBlocks - 1) - 1))
    expect([hasher.blocks.length, hasher.isFull]).toEqual([maxBlocks - 1, false])
    hasher.feed('x'.repeat(10_000))
    expect([hasher.blocks.length, hasher.isFull]).toEqual([maxBlocks, true])
  })
})

describe('where a beginning was read', () => {
  test('is told with what was noted last of each place', () => {
    const memory = new PrefixMemory()
    memory.note(77, 3, 1, 100)
    memory.note(77, 5, 2, 200)
    memory.note(77, 3, 9, 900)
    expect(seen(memory, 77)).toEqual([
      [3, 9, 900],
      [5, 2, 200],
    ])
    expect(seen(memory, 78)).toEqual([])
  })

  test('is told of all places in any order, while there are few', () => {
    const note = fc.record({ hash: fc.integer({ min: 1, max: 4 }), gauge: fc.nat(1), value: fc.nat(1000) })
    fc.assert(
      fc.property(fc.array(note, { maxLength: 40 }), (notes) => {
        const memory = new PrefixMemory()
        const expected = new Map<string, number>()
        for (const { hash, gauge, value } of notes) {
          memory.note(hash, gauge, 0, value)
          expected.set(`${hash} ${gauge}`, value)
        }
        for (let hash = 1; hash <= 4; hash++) {
          const found = seen(memory, hash).map(([gauge, , value]) => [`${hash} ${gauge}`, value])
          expect(found.sort()).toEqual([...expected].filter(([key]) => key.startsWith(`${hash} `)).sort())
        }
      }),
    )
  })

  test('is forgotten in turn where very many fall together, and the newest is always there', () => {
    const memory = new PrefixMemory()
    // Hashes of one place of the table.
    for (let n = 0; n < 1_000; n++) {
      memory.note(n + 1, n, 0, n)
      expect(seen(memory, n + 1)).toEqual([[n, 0, n]])
    }
    const left = Array.from({ length: 1_000 }, (_, n) => seen(memory, n + 1).length)
    expect(left.reduce((sum, count) => sum + count, 0)).toBe(8)
  })
})
