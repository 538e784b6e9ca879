import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readGgufFile, readGgufSet } from './read-gguf-set.ts'
import { parseSplitName, splitSetNames } from './split-name.ts'
import { writeGguf } from './write-gguf.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holon-gguf-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

const part = (index: number, count = 2): Uint8Array =>
  writeGguf({
    metadata: {
      ...(index === 0 ? { 'general.architecture': 'llama' } : {}),
      'split.no': { type: 'uint16', value: index },
      'split.count': { type: 'uint16', value: count },
    },
    tensors: [{ name: `blk.${index}.w`, shape: [32], type: 'Q8_0' }],
  })
const at = (name: string): string => join(folder, name)

it('names the files of a split set', () => {
  expect(parseSplitName('a/M-00002-of-00003.gguf')).toEqual({ base: 'a/M', part: 2, count: 3 })
  expect(splitSetNames('M-00002-of-00002.gguf')).toEqual(['M-00001-of-00002.gguf', 'M-00002-of-00002.gguf'])
  expect(splitSetNames('M.gguf')).toEqual(['M.gguf'])
  expect(parseSplitName('M-00004-of-00003.gguf')).toBeNull()
})

it('reads a split set as one model', async () => {
  await writeFile(at('M-00001-of-00002.gguf'), part(0))
  await writeFile(at('M-00002-of-00002.gguf'), part(1))
  const set = await readGgufSet(at('M-00001-of-00002.gguf'))
  expect(set.tensors.map((tensor) => tensor.name)).toEqual(['blk.0.w', 'blk.1.w'])
  expect(set.totalBytes).toBe(part(0).length + part(1).length)
})

it('names the part that is missing', async () => {
  await writeFile(at('M-00001-of-00002.gguf'), part(0))
  await expect(readGgufSet(at('M-00001-of-00002.gguf'))).rejects.toMatchObject({
    code: 'model_file_missing',
    message: expect.stringContaining('M-00002-of-00002.gguf'),
  })
})

it('refuses a part that belongs to another split', async () => {
  await writeFile(at('M-00001-of-00002.gguf'), part(0))
  await writeFile(at('M-00002-of-00002.gguf'), part(1, 3))
  await expect(readGgufSet(at('M-00001-of-00002.gguf'))).rejects.toThrow('part 2 of 3')
})

it('says that a file is missing, or is a folder', async () => {
  await expect(readGgufFile(at('none.gguf'))).rejects.toMatchObject({ code: 'model_file_missing' })
  await expect(readGgufFile(folder)).rejects.toThrow('folder')
})
