import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { readGgufSet } from './read-gguf-set.ts'
import { weightsId } from './weights-id.ts'
import { writeGguf } from './write-gguf.ts'

let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holon-weights-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

interface Made {
  tensors?: { name: string; shape: number[]; type: string }[]
  metadata?: Record<string, string | { type: 'uint16'; value: number }>
}
const both = [
  { name: 'blk.0.w', shape: [32], type: 'Q8_0' },
  { name: 'blk.1.w', shape: [32], type: 'Q8_0' },
]
const file = ({ tensors = both, metadata = { 'general.architecture': 'llama' } }: Made = {}) =>
  Buffer.from(writeGguf({ metadata, tensors } as Parameters<typeof writeGguf>[0]))

async function idOf(name: string, bytes: Uint8Array): Promise<string> {
  await writeFile(join(folder, name), bytes)
  return weightsId(await readGgufSet(join(folder, name)))
}

it('is the same for the same weights under another name and with another header', async () => {
  const id = await idOf('a.gguf', file())
  expect(id).toMatch(/^gguf-[0-9a-f]{24}$/)
  expect(
    await idOf('b.gguf', file({ metadata: { 'general.architecture': 'llama', 'general.name': 'B' } })),
  ).toBe(id)
})

it('differs for a fine-tune of the same shape, whose header tells no difference', async () => {
  const tuned = file()
  tuned[tuned.length - 5] = tuned[tuned.length - 5]! ^ 1
  expect(await idOf('tuned.gguf', tuned)).not.toBe(await idOf('plain.gguf', file()))
})

it('differs for other names, shapes and types of tensors', async () => {
  const first = both[0]!
  const ids = [
    await idOf('1.gguf', file()),
    await idOf('2.gguf', file({ tensors: [first, { name: 'blk.2.w', shape: [32], type: 'Q8_0' }] })),
    await idOf('3.gguf', file({ tensors: [first, { name: 'blk.1.w', shape: [64], type: 'Q8_0' }] })),
    await idOf('4.gguf', file({ tensors: [first, { name: 'blk.1.w', shape: [32], type: 'Q4_0' }] })),
  ]
  expect(new Set(ids).size).toBe(4)
})

it('is the same for a model and for the same model split in two', async () => {
  const whole = await idOf('whole.gguf', file())
  for (const [index, tensor] of both.entries()) {
    const metadata = {
      ...(index === 0 ? { 'general.architecture': 'llama' } : {}),
      'split.no': { type: 'uint16' as const, value: index },
      'split.count': { type: 'uint16' as const, value: 2 },
    }
    await writeFile(join(folder, `m-0000${index + 1}-of-00002.gguf`), file({ tensors: [tensor], metadata }))
  }
  expect(await weightsId(await readGgufSet(join(folder, 'm-00001-of-00002.gguf')))).toBe(whole)
})
