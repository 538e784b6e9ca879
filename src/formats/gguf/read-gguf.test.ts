import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import type { ByteSource } from '../byte-source.ts'
import { memoryByteSource } from '../byte-source-memory.ts'
import { ggmlTypes } from './ggml-types.ts'
import { ggufArray, ggufNumber, ggufPerLayer, ggufString } from './gguf-header.ts'
import { readGguf } from './read-gguf.ts'
import { type WritableGguf, writeGguf } from './write-gguf.ts'

const small: WritableGguf = {
  metadata: {
    'general.architecture': 'llama',
    'general.name': 'Tiny',
    'llama.block_count': 2,
    'llama.context_length': 2048,
    'llama.attention.head_count_kv': { type: 'uint32', value: [2, 4] },
    'llama.rope.freq_base': { type: 'float32', value: 10000 },
    'big.count': { type: 'uint64', value: 2n ** 63n },
    'tokenizer.ggml.tokens': { type: 'string', value: Array.from({ length: 5000 }, (_, i) => `t${i}`) },
    'tokenizer.ggml.scores': { type: 'float32', value: new Array(5000).fill(0.5) },
  },
  tensors: [
    { name: 'token_embd.weight', shape: [64, 100], type: 'F16' },
    { name: 'blk.0.attn_q.weight', shape: [256, 3], type: 'Q4_K' },
    { name: 'output_norm.weight', shape: [7], type: 'F32' },
  ],
}
const sound = writeGguf(small)
const read = (bytes: Uint8Array) => readGguf(memoryByteSource(bytes, 'model.gguf'))
const failure = async (bytes: Uint8Array): Promise<HolonError> => {
  const thrown = await read(bytes).catch((error) => error)
  expect(thrown).toBeInstanceOf(HolonError)
  return thrown
}
/** A sound file with the bytes at `offset` replaced. */
const damaged = (offset: number, bytes: number[]): Uint8Array => {
  const copy = sound.slice()
  copy.set(bytes, offset)
  return copy
}

describe('readGguf', () => {
  it('reads version, metadata, tensors and where the data starts', async () => {
    const header = await read(sound)
    expect(header.version).toBe(3)
    expect(ggufString(header, 'general.architecture')).toBe('llama')
    expect(ggufNumber(header, 'llama.block_count')).toBe(2)
    expect(ggufPerLayer(header, 'llama.attention.head_count_kv', 2)).toEqual([2, 4])
    expect(ggufPerLayer(header, 'llama.context_length', 2)).toEqual([2048, 2048])
    expect(header.metadata.get('big.count')).toBe(2n ** 63n)
    expect(header.tensors.map(({ name, bytes, offset }) => [name, bytes, offset])).toEqual([
      ['token_embd.weight', 12_800, 0],
      ['blk.0.attn_q.weight', 432, 12_800],
      ['output_norm.weight', 28, 13_248],
    ])
    expect(header.dataOffset % 32).toBe(0)
    expect(header.fileBytes).toBe(sound.length)
    expect(header.tensorBytes).toBe(13_260)
  })

  it('keeps the length of a vocabulary and not its values', async () => {
    const tokens = ggufArray(await read(sound), 'tokenizer.ggml.tokens')
    expect(tokens).toEqual({ elementType: 'string', length: 5000, values: null })
  })

  it('reads version 2 the same way and refuses the others by name', async () => {
    expect((await read(writeGguf({ ...small, version: 2 }))).version).toBe(2)
    expect((await failure(writeGguf({ ...small, version: 1 }))).message).toContain('version 1')
    expect((await failure(writeGguf({ ...small, version: 4 }))).message).toContain('version 4')
    expect((await failure(damaged(4, [0, 0, 0, 3]))).message).toContain('big endian')
  })

  it('gives the same answer whatever the size of the chunks it reads', async () => {
    const whole = await read(sound)
    for (const chunkBytes of [1, 7, 64, 1000]) {
      const source: ByteSource = { ...memoryByteSource(sound), chunkBytes }
      expect(await readGguf(source)).toEqual(whole)
    }
  })

  it('computes the bytes of every ggml type from its block size', async () => {
    for (const type of ggmlTypes.values()) {
      const shape = [type.blockWeights * 2, 3]
      const header = await read(writeGguf({ metadata: {}, tensors: [{ name: 'w', shape, type: type.name }] }))
      expect(header.tensors[0]).toMatchObject({
        type,
        bytes: type.blockBytes * 6,
        weights: type.blockWeights * 6,
      })
    }
  })

  it('knows a split file and refuses a part number beyond the count', async () => {
    const split = (index: number): Uint8Array =>
      writeGguf({
        metadata: {
          'split.no': { type: 'uint16', value: index },
          'split.count': { type: 'uint16', value: 3 },
          'split.tensors.count': { type: 'int32', value: 77 },
        },
      })
    expect((await read(split(2))).split).toEqual({ index: 2, count: 3, tensors: 77 })
    expect((await failure(split(3))).code).toBe('model_file_invalid')
  })

  it('refuses what is no GGUF, saying so', async () => {
    for (const bytes of [
      new Uint8Array(0),
      new Uint8Array(3),
      new TextEncoder().encode('<!doctype html><html>'),
    ]) {
      const error = await failure(bytes)
      expect(error.code).toBe('model_file_invalid')
      expect(error.message).toContain('model.gguf')
      expect(error.hint).toContain('holon pull')
    }
  })

  it('refuses a file cut anywhere, and describes its header alone when told to', async () => {
    for (const length of [10, 23, 60, 400, sound.length - 13_300, sound.length - 1]) {
      expect((await failure(sound.slice(0, length))).code).toBe('model_file_invalid')
    }
    const headerOnly = writeGguf({ ...small, headerOnly: true })
    expect((await failure(headerOnly)).message).toContain('cut short')
    const header = await readGguf(memoryByteSource(headerOnly), { requireWeights: false })
    expect(header.fileBytes).toBe(sound.length)
  })

  it('allocates nothing for counts that the file cannot hold', async () => {
    const absurd = [255, 255, 255, 255, 255, 255, 15, 0]
    expect((await failure(damaged(8, absurd))).message).toContain('tensors')
    expect((await failure(damaged(16, absurd))).message).toContain('metadata entries')
    expect((await failure(damaged(24, absurd))).message).toContain('claims')
    expect((await failure(damaged(16, [255, 255, 255, 255, 255, 255, 255, 255]))).message).toContain(
      'absurdly',
    )
  })

  it('never reads more than the bound on headers from a source without a size', async () => {
    // A header that claims an array of 15 million strings, then eight-byte strings for ever.
    const head = endlessHeader()
    let asked = 0
    const endless: ByteSource = {
      name: 'endless',
      size: null,
      chunkBytes: 1024 * 1024,
      read: async (offset, length) => {
        asked = Math.max(asked, offset + length)
        const bytes = new Uint8Array(length)
        for (let at = (((head.length - offset) % 8) + 8) % 8; at < length; at += 8) bytes[at] = 8
        if (offset === 0) bytes.set(head)
        return bytes
      },
      close: async () => undefined,
    }
    const thrown = await readGguf(endless).catch((error) => error)
    expect(thrown).toBeInstanceOf(HolonError)
    expect(thrown.message).toContain('larger than')
    expect(asked).toBeGreaterThan(120 * 1024 * 1024)
    expect(asked).toBeLessThanOrEqual(129 * 1024 * 1024)
  })

  it('survives any damage: an answer or a HolonError, never a crash, never a hang', async () => {
    const edit = fc.record({ at: fc.nat(1500), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) })
    await fc.assert(
      fc.asyncProperty(
        fc.array(edit, { minLength: 1, maxLength: 6 }),
        fc.nat(sound.length),
        async (edits, cut) => {
          const bytes = sound.slice(0, cut % 3 === 0 ? cut : sound.length)
          for (const { at, bytes: patch } of edits) {
            const place = at < 900 ? at : sound.length - 14_000 + at
            if (place + patch.length < bytes.length) bytes.set(patch, place)
          }
          const outcome = await read(bytes).catch((error) => error)
          if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HolonError)
          else expect(outcome.fileBytes).toBeLessThanOrEqual(bytes.length)
        },
      ),
      { numRuns: 1500 },
    )
  })

  it('survives bytes that were never a file', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, lookRight) => {
        const head = lookRight ? [0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0] : []
        const outcome = await read(Uint8Array.from([...head, ...bytes])).catch((error) => error)
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(HolonError)
      }),
      { numRuns: 1500 },
    )
  })
})

/** Magic, version, 0 tensors, 1 entry: key "k", an array of 15 million strings. */
function endlessHeader(): Uint8Array {
  const file = writeGguf({ metadata: { k: { type: 'string', value: [] } } })
  new DataView(file.buffer).setUint32(file.length - 8, 15_000_000, true)
  return file
}
