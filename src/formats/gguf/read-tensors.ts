import { ggmlTypes, isRemovedGgmlType } from './ggml-types.ts'
import type { GgufCursor } from './gguf-cursor.ts'
import type { GgufTensor } from './gguf-header.ts'

/** The largest real files have some 50,000 (a mixture of experts with unmerged experts). */
const maxTensors = 262_144
/** ggml keeps names in 64 bytes, the last one zero. */
const maxNameBytes = 63
const maxDimensions = 4

const utf8 = new TextDecoder('utf-8')

/** Reads the tensor table: names, shapes, types, and where the bytes lie. */
export async function readTensors(
  cursor: GgufCursor,
  count: number,
  alignment: number,
): Promise<GgufTensor[]> {
  // The shortest entry is an empty name (8 bytes), no dimensions (4), a type (4) and an offset (8).
  if (count > maxTensors || count * 24 > cursor.remaining) {
    throw cursor.fail(`it claims ${count} tensors, more than its size can hold`)
  }
  const names = new Set<string>()
  const tensors: GgufTensor[] = []
  let expectedOffset = 0
  for (let index = 0; index < count; index++) {
    const tensor = await readTensor(cursor, index)
    if (names.has(tensor.name)) throw cursor.fail(`tensor "${tensor.name}" stands there twice`)
    // llama.cpp refuses gaps and overlaps; a file that has them would fail later with a worse message.
    if (tensor.offset !== expectedOffset) {
      throw cursor.fail(`tensor "${tensor.name}" lies at ${tensor.offset} instead of ${expectedOffset}`)
    }
    expectedOffset += padTo(tensor.bytes, alignment)
    if (!Number.isSafeInteger(expectedOffset))
      throw cursor.fail('its tensors claim an absurd number of bytes')
    names.add(tensor.name)
    tensors.push(tensor)
  }
  return tensors
}

async function readTensor(cursor: GgufCursor, index: number): Promise<GgufTensor> {
  const name = await readName(cursor, index)
  const shape = await readShape(cursor, name)
  const typeId = await cursor.uint32(`the type of tensor "${name}"`)
  const type = ggmlTypes.get(typeId)
  if (!type) {
    const why = isRemovedGgmlType(typeId)
      ? 'llama.cpp no longer reads: use a newer conversion of the model'
      : 'this version of Holon does not know'
    throw cursor.fail(`tensor "${name}" has type ${typeId}, which ${why}`)
  }
  const row = shape[0] ?? 1
  if (row % type.blockWeights !== 0) {
    throw cursor.fail(
      `tensor "${name}" has rows of ${row} weights, no multiple of ${type.name}'s ${type.blockWeights}`,
    )
  }
  const weights = shape.reduce((product, size) => product * size, 1)
  const bytes = (weights / type.blockWeights) * type.blockBytes
  if (!Number.isSafeInteger(weights) || !Number.isSafeInteger(bytes)) {
    throw cursor.fail(`tensor "${name}" claims an absurd shape (${shape.join(' x ')})`)
  }
  const offset = await cursor.uint64(`the offset of tensor "${name}"`)
  return { name, shape, type, offset, bytes, weights }
}

async function readName(cursor: GgufCursor, index: number): Promise<string> {
  const what = `the name of tensor ${index}`
  const length = await cursor.uint64(`the length of ${what}`)
  if (length > maxNameBytes) throw cursor.fail(`${what} claims ${length} bytes (at most ${maxNameBytes})`)
  await cursor.need(length, what)
  return utf8.decode(cursor.takeBytes(length))
}

async function readShape(cursor: GgufCursor, name: string): Promise<number[]> {
  const dimensions = await cursor.uint32(`the number of dimensions of tensor "${name}"`)
  if (dimensions > maxDimensions) {
    throw cursor.fail(`tensor "${name}" claims ${dimensions} dimensions (at most ${maxDimensions})`)
  }
  const shape: number[] = []
  for (let axis = 0; axis < dimensions; axis++) {
    shape.push(await cursor.uint64(`the shape of tensor "${name}"`))
  }
  return shape
}

/** Plain arithmetic, not bit masks: sizes pass 2^31. */
export function padTo(bytes: number, alignment: number): number {
  return Math.ceil(bytes / alignment) * alignment
}
