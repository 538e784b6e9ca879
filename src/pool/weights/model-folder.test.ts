import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { writeTinySafetensors } from '../../../test/support/tiny-safetensors.ts'
import { demandWholeShards } from './model-folder.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'holon-shards-'))
  writeTinySafetensors(folder, { layers: 4, layersPerShard: 2 })
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const shard = (number: number) => join(folder, `model-${number}-of-2.safetensors`)

test('a folder whose shards are all there and whole is taken', async () => {
  await demandWholeShards(folder, null)
})

test('a shard that was downloaded by half is refused, in its header and in its weights', async () => {
  for (const bytes of [4, 100, 200]) {
    truncateSync(shard(2), bytes)
    await expect(demandWholeShards(folder, null)).rejects.toMatchObject({ code: 'model_file_invalid' })
  }
})

test('a shard that is missing is refused, and one that is not needed here is not asked for', async () => {
  rmSync(shard(2))
  await expect(demandWholeShards(folder, null)).rejects.toThrow(/model-2-of-2\.safetensors/)
  await demandWholeShards(folder, ['model-1-of-2.safetensors'])
})

test('a folder without weights, and an index that is none, are refused', async () => {
  writeFileSync(join(folder, 'model.safetensors.index.json'), '[')
  await expect(demandWholeShards(folder, null)).rejects.toMatchObject({ code: 'model_file_invalid' })
  for (const name of ['model.safetensors.index.json', 'model-1-of-2.safetensors', 'model-2-of-2.safetensors'])
    rmSync(join(folder, name))
  await expect(demandWholeShards(folder, null)).rejects.toMatchObject({ code: 'model_file_missing' })
})
