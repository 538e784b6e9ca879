import { describe, expect, test } from 'vitest'
import { chooseSequence, emptySequences } from './sequences.ts'

const holding = (lists: number[][], busy: number[] = []) =>
  emptySequences(lists.length).map((sequence, index) => ({
    ...sequence,
    tokens: lists[index]!,
    busy: busy.includes(index),
    usedAt: index,
  }))

describe('the sequence for a prompt', () => {
  test('is the free one that shares the longest start', () => {
    const sequences = holding([[1, 2, 3], [1, 2, 3, 4, 5], [9]])
    const { sequence, keep } = chooseSequence(sequences, [1, 2, 3, 4, 7])
    expect([sequence.id, keep]).toEqual([1, 4])
  })

  test('is never a busy one', () => {
    const sequences = holding(
      [
        [1, 2, 3],
        [1, 2, 3, 4, 5],
      ],
      [1],
    )
    expect(chooseSequence(sequences, [1, 2, 3, 4, 5, 6]).sequence.id).toBe(0)
  })

  test('reads at least its last token again, for the logits', () => {
    expect(chooseSequence(holding([[1, 2, 3]]), [1, 2, 3]).keep).toBe(2)
  })

  test('is the least recently used when what is shared is chance', () => {
    const prompt = Array.from({ length: 100 }, (_, index) => index)
    const sequences = holding([[7, 7], [0, 1, 500], [8]])
    expect(chooseSequence(sequences, prompt)).toMatchObject({ sequence: { id: 0 }, keep: 0 })
  })
})
