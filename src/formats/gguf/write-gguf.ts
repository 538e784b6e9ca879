/**
 * Writes a small GGUF. Tests build the file they need with it instead of downloading a fixture, and a test that
 * wants a damaged file damages a sound one.
 */
import { ggmlTypeByName } from './ggml-types.ts'
import type { GgufElementType } from './gguf-header.ts'
import { padTo } from './read-tensors.ts'

export type WritableValue = number | boolean | string | bigint | TypedValue
export interface TypedValue {
  type: GgufElementType
  /** An array is written as a GGUF array. */
  value: number | bigint | boolean | string | readonly (number | bigint | boolean | string)[]
}

export interface WritableGguf {
  version?: number
  /** Plain integers become uint32, other numbers float32, bigints uint64. */
  metadata: Record<string, WritableValue>
  tensors?: { name: string; shape: number[]; type: string; data?: Uint8Array }[]
  /** Leave the weights out: the header alone, as a planner needs it. */
  headerOnly?: boolean
}

const typeIds: Record<GgufElementType, number> = {
  uint8: 0,
  int8: 1,
  uint16: 2,
  int16: 3,
  uint32: 4,
  int32: 5,
  float32: 6,
  bool: 7,
  string: 8,
  uint64: 10,
  int64: 11,
  float64: 12,
}

export function writeGguf(file: WritableGguf): Uint8Array {
  const out = new ByteWriter()
  const tensors = file.tensors ?? []
  const entries = Object.entries(file.metadata)
  const alignment = Number(file.metadata['general.alignment'] ?? 32)
  out.ascii('GGUF')
  out.scalar('uint32', file.version ?? 3)
  out.scalar('uint64', tensors.length)
  out.scalar('uint64', entries.length)
  for (const [key, value] of entries) {
    out.scalar('string', key)
    writeValue(out, typed(value))
  }
  let offset = 0
  const sizes: number[] = []
  for (const tensor of tensors) {
    const type = ggmlTypeByName(tensor.type)
    if (!type) throw new Error(`unknown tensor type ${tensor.type}`)
    const bytes = (tensor.shape.reduce((a, b) => a * b, 1) / type.blockWeights) * type.blockBytes
    out.scalar('string', tensor.name)
    out.scalar('uint32', tensor.shape.length)
    for (const size of tensor.shape) out.scalar('uint64', size)
    out.scalar('uint32', type.id)
    out.scalar('uint64', offset)
    sizes.push(bytes)
    offset += padTo(bytes, alignment)
  }
  if (!file.headerOnly) {
    for (const [index, tensor] of tensors.entries()) {
      out.pad(alignment)
      out.bytes(tensor.data ?? new Uint8Array(sizes[index]!))
    }
  }
  return out.result()
}

function typed(value: WritableValue): TypedValue {
  if (typeof value === 'object') return value
  if (typeof value === 'string') return { type: 'string', value }
  if (typeof value === 'boolean') return { type: 'bool', value }
  if (typeof value === 'bigint') return { type: 'uint64', value }
  return { type: Number.isInteger(value) && value >= 0 ? 'uint32' : 'float32', value }
}

function writeValue(out: ByteWriter, { type, value }: TypedValue): void {
  if (typeof value !== 'object') {
    out.scalar('uint32', typeIds[type])
    out.scalar(type, value)
    return
  }
  out.scalar('uint32', 9)
  out.scalar('uint32', typeIds[type])
  out.scalar('uint64', value.length)
  for (const element of value) out.scalar(type, element)
}

class ByteWriter {
  private buffer = new Uint8Array(64 * 1024)
  private length = 0

  bytes(data: Uint8Array): void {
    if (this.length + data.length > this.buffer.length) {
      const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + data.length))
      larger.set(this.buffer.subarray(0, this.length))
      this.buffer = larger
    }
    this.buffer.set(data, this.length)
    this.length += data.length
  }

  ascii(text: string): void {
    this.bytes(new TextEncoder().encode(text))
  }

  pad(alignment: number): void {
    this.bytes(new Uint8Array(padTo(this.length, alignment) - this.length))
  }

  scalar(type: GgufElementType, value: number | bigint | boolean | string): void {
    if (type === 'string') {
      const text = new TextEncoder().encode(String(value))
      this.scalar('uint64', text.length)
      this.bytes(text)
      return
    }
    const view = new DataView(new ArrayBuffer(8))
    this.bytes(new Uint8Array(view.buffer, 0, writeScalar(view, type, value)))
  }

  result(): Uint8Array {
    return this.buffer.slice(0, this.length)
  }
}

/** Writes at 0 and returns the bytes used. */
function writeScalar(
  view: DataView,
  type: GgufElementType,
  value: number | bigint | boolean | string,
): number {
  switch (type) {
    case 'uint8':
    case 'bool':
      view.setUint8(0, Number(value))
      return 1
    case 'int8':
      view.setInt8(0, Number(value))
      return 1
    case 'uint16':
      view.setUint16(0, Number(value), true)
      return 2
    case 'int16':
      view.setInt16(0, Number(value), true)
      return 2
    case 'uint32':
      view.setUint32(0, Number(value), true)
      return 4
    case 'int32':
      view.setInt32(0, Number(value), true)
      return 4
    case 'float32':
      view.setFloat32(0, Number(value), true)
      return 4
    case 'uint64':
      view.setBigUint64(0, BigInt(value), true)
      return 8
    case 'int64':
      view.setBigInt64(0, BigInt(value), true)
      return 8
    case 'float64':
      view.setFloat64(0, Number(value), true)
      return 8
    case 'string':
      throw new Error('strings are written by ByteWriter.scalar')
  }
}
