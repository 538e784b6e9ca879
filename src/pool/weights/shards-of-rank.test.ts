import { expect, test } from 'vitest'
import { layersOfStage, shardsOfStage } from './shards-of-rank.ts'

/** 8 layers in 4 shards of two, with the embedding in the first and the head in the last. */
const map: Record<string, string> = {
  'model.embed_tokens.weight': 's1',
  ...Object.fromEntries(
    Array.from({ length: 8 }, (_, at) => [`model.layers.${at}.mlp.weight`, `s${1 + Math.floor(at / 2)}`]),
  ),
  'lm_head.weight': 's4',
}

test('rank 0 has the last layers', () => {
  expect(layersOfStage(8, { rank: 0, size: 2 })).toEqual({ from: 4, to: 8 })
  expect(layersOfStage(8, { rank: 1, size: 2 })).toEqual({ from: 0, to: 4 })
})

test('a stage needs the shards with its layers and with what is no layer', () => {
  expect(shardsOfStage(map, 8, { rank: 0, size: 2 })).toEqual(['s1', 's3', 's4'])
  expect(shardsOfStage(map, 8, { rank: 1, size: 2 })).toEqual(['s1', 's2', 's4'])
})

test('all layers are somewhere, however they divide', () => {
  for (let layers = 2; layers < 70; layers++) {
    for (let size = 2; size <= Math.min(layers, 8); size++) {
      const held = new Set<number>()
      for (let rank = 0; rank < size; rank++) {
        const { from, to } = layersOfStage(layers, { rank, size })
        expect(from).toBeGreaterThanOrEqual(0)
        expect(to).toBeLessThanOrEqual(layers)
        for (let layer = from; layer < to; layer++) held.add(layer)
      }
      expect(held.size).toBe(layers)
    }
  }
})

test('where layers do not divide evenly a stage has what either version of mlx-lm reads', () => {
  // 5 layers on 2: the newer one gives rank 1 layers 0-1 and rank 0 layers 2-4; the older one starts rank 0 at layer 3.
  const { from, to } = layersOfStage(5, { rank: 0, size: 2 })
  expect(from).toBeLessThanOrEqual(2)
  expect(to).toBe(5)
})
