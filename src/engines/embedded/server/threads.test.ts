import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fastest, race, ThreadCache, threadCandidates } from './threads.ts'

describe('thread counts', () => {
  test('to try are powers of two, the fast cores and all cores', () => {
    expect(threadCandidates(1, 1)).toEqual([1])
    expect(threadCandidates(2, 2)).toEqual([1, 2])
    expect(threadCandidates(12, 6)).toEqual([1, 2, 4, 6, 8, 12])
  })

  test('chosen are the fewest that are as good as the best', () => {
    expect(
      fastest(
        new Map([
          [1, 10],
          [2, 5],
          [4, 4.9],
          [8, 7],
        ]),
      ),
    ).toBe(2)
    expect(
      fastest(
        new Map([
          [1, 3],
          [2, 30],
        ]),
      ),
    ).toBe(1)
  })

  test('are measured in interleaved rounds, a hopeless one only once', async () => {
    const asked: number[] = []
    const times = await race([1, 2, 4], performance.now() + 60_000, async (count) => {
      asked.push(count)
      return { 1: 10, 2: 6, 4: 90 }[count] ?? 0
    })
    expect(asked).toEqual([1, 2, 4, 1, 2, 1, 2])
    expect(fastest(times)).toBe(2)
  })

  test('are remembered per machine and model shape, and a damaged cache is no cache', () => {
    const folder = mkdtempSync(join(tmpdir(), 'holon-threads-'))
    const file = join(folder, 'cache', 'threads.json')
    const cache = new ThreadCache(file, 'llama/2')
    expect(cache.read()).toBeNull()
    cache.write({ decode: 1, prefill: 2 })
    expect(new ThreadCache(file, 'llama/2').read()).toEqual({ decode: 1, prefill: 2 })
    expect(new ThreadCache(file, 'llama/3').read()).toBeNull()
    writeFileSync(file, '{"half')
    expect(cache.read()).toBeNull()
    rmSync(folder, { recursive: true })
  })
})
