import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { HolonError } from '../../core/errors.ts'

/**
 * Just enough of a GGUF header for an engine: shape, chat template, and whether the file is whole.
 * A damaged file must be refused here: native loaders have crashed or mapped past the end on such files.
 */
export interface GgufHeader {
  architecture: string
  /** Scalars, strings and short number arrays by key. Long arrays (the vocabulary) are skipped. */
  keys: ReadonlyMap<string, GgufValue>
  /** Length of every array key, skipped or not. */
  lengths: ReadonlyMap<string, number>
  fileBytes: number
  tensorCount: number
}

export type GgufValue = string | number | boolean | readonly number[]

const scalarBytes: Record<number, number> = {
  0: 1,
  1: 1,
  2: 2,
  3: 2,
  4: 4,
  5: 4,
  6: 4,
  7: 1,
  10: 8,
  11: 8,
  12: 8,
}
const STRING = 8
const ARRAY = 9
const keptArray = 4096
const longestString = 64 * 2 ** 20

/** Elements and bytes per block by ggml type id; types not listed are not size-checked. */
const blocks: Record<number, readonly [number, number]> = {
  0: [1, 4],
  1: [1, 2],
  2: [32, 18],
  3: [32, 20],
  6: [32, 22],
  7: [32, 24],
  8: [32, 34],
  9: [32, 36],
  10: [256, 84],
  11: [256, 110],
  12: [256, 144],
  13: [256, 176],
  14: [256, 210],
  15: [256, 292],
  20: [32, 18],
  23: [256, 136],
  24: [1, 1],
  25: [1, 2],
  26: [1, 4],
  27: [1, 8],
  28: [1, 8],
  30: [1, 2],
  39: [32, 17],
}

/** Reads forward through a file in large pieces; throws when the file ends too early. */
class FileCursor {
  private chunk = Buffer.alloc(0)
  private chunkAt = 0
  position = 0
  private readonly file: number
  private readonly size: number

  constructor(file: number, size: number) {
    this.file = file
    this.size = size
  }

  take(count: number): Buffer {
    if (count > longestString) throw new RangeError(`a field claims ${count} bytes`)
    if (this.position + count > this.size) throw new RangeError('the header is cut off')
    const from = this.position - this.chunkAt
    if (from < 0 || from + count > this.chunk.length) {
      const wanted = Math.min(Math.max(count, 2 ** 20), this.size - this.position)
      this.chunk = Buffer.alloc(wanted)
      this.chunkAt = this.position
      let got = 0
      while (got < wanted) {
        const read = readSync(this.file, this.chunk, got, wanted - got, this.position + got)
        if (read === 0) throw new RangeError('the file shrank while it was read')
        got += read
      }
    }
    const start = this.position - this.chunkAt
    this.position += count
    return this.chunk.subarray(start, start + count)
  }

  skip(count: number): void {
    if (this.position + count > this.size) throw new RangeError('the header is cut off')
    this.position += count
  }

  u32(): number {
    return this.take(4).readUInt32LE()
  }

  /** Counts and offsets; beyond 2^53 they are nonsense. */
  u64(): number {
    const value = this.take(8).readBigUInt64LE()
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new RangeError('a length is impossibly large')
    return Number(value)
  }

  string(): string {
    return this.take(this.u64()).toString('utf8')
  }

  scalar(type: number): GgufValue {
    if (type === STRING) return this.string()
    const size = scalarBytes[type]
    if (size === undefined) throw new RangeError(`value type ${type} does not exist`)
    const bytes = this.take(size)
    if (type === 0) return bytes.readUInt8()
    if (type === 1) return bytes.readInt8()
    if (type === 2) return bytes.readUInt16LE()
    if (type === 3) return bytes.readInt16LE()
    if (type === 4) return bytes.readUInt32LE()
    if (type === 5) return bytes.readInt32LE()
    if (type === 6) return bytes.readFloatLE()
    if (type === 7) return bytes.readUInt8() !== 0
    if (type === 10) return Number(bytes.readBigUInt64LE())
    if (type === 11) return Number(bytes.readBigInt64LE())
    return bytes.readDoubleLE()
  }
}

function readArray(cursor: FileCursor): { length: number; values: readonly number[] | null } {
  const type = cursor.u32()
  const length = cursor.u64()
  if (type === STRING) {
    for (let index = 0; index < length; index++) cursor.skip(cursor.u64())
    return { length, values: null }
  }
  const size = scalarBytes[type]
  if (size === undefined) throw new RangeError(`array type ${type} does not exist`)
  if (length > keptArray) {
    cursor.skip(length * size)
    return { length, values: null }
  }
  const values: number[] = []
  for (let index = 0; index < length; index++) values.push(Number(cursor.scalar(type)))
  return { length, values }
}

/** Where the last tensor ends, relative to the start of the data; 0 when a type is unknown. */
function readTensors(cursor: FileCursor, count: number): number {
  let end = 0
  for (let index = 0; index < count; index++) {
    cursor.skip(cursor.u64())
    const dimensions = cursor.u32()
    if (dimensions > 8) throw new RangeError(`a tensor claims ${dimensions} dimensions`)
    let elements = 1
    for (let d = 0; d < dimensions; d++) elements *= cursor.u64()
    const block = blocks[cursor.u32()]
    const offset = cursor.u64()
    if (block) end = Math.max(end, offset + Math.ceil(elements / block[0]) * block[1])
  }
  return end
}

function parse(cursor: FileCursor, fileBytes: number): GgufHeader {
  if (cursor.take(4).toString('latin1') !== 'GGUF') throw new RangeError('it does not begin with "GGUF"')
  const version = cursor.u32()
  if (version !== 2 && version !== 3) throw new RangeError(`GGUF version ${version} is not known`)
  const tensorCount = cursor.u64()
  const keyCount = cursor.u64()
  if (tensorCount > 1e6 || keyCount > 1e6) throw new RangeError('its counts are impossible')
  const keys = new Map<string, GgufValue>()
  const lengths = new Map<string, number>()
  for (let index = 0; index < keyCount; index++) {
    const key = cursor.string()
    const type = cursor.u32()
    if (type === ARRAY) {
      const { length, values } = readArray(cursor)
      lengths.set(key, length)
      if (values) keys.set(key, values)
    } else keys.set(key, cursor.scalar(type))
  }
  const dataBytes = readTensors(cursor, tensorCount)
  const alignment = keys.get('general.alignment')
  const step = typeof alignment === 'number' && alignment > 0 ? alignment : 32
  const expected = Math.ceil(cursor.position / step) * step + dataBytes
  if (fileBytes < expected)
    throw new RangeError(`it has ${fileBytes} bytes where its header describes ${expected}`)
  const architecture = keys.get('general.architecture')
  if (typeof architecture !== 'string') throw new RangeError('it names no architecture')
  return { architecture, keys, lengths, fileBytes, tensorCount }
}

/**
 * Reads and checks the header of one file.
 * @throws HolonError model_file_missing, model_file_invalid
 */
export function readGgufHeader(path: string): GgufHeader {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch (cause) {
    const why = (cause as NodeJS.ErrnoException).code === 'EACCES' ? 'may not be read' : 'is not there'
    throw new HolonError('model_file_missing', `The model file ${path} ${why}.`, { cause })
  }
  try {
    const stat = fstatSync(file)
    if (!stat.isFile())
      throw new HolonError('model_file_invalid', `The model file ${path} is a folder or a device.`)
    return parse(new FileCursor(file, stat.size), stat.size)
  } catch (cause) {
    if (cause instanceof HolonError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new HolonError('model_file_invalid', `The model file ${path} cannot be used: ${why}.`, { cause })
  } finally {
    closeSync(file)
  }
}

/** All files of a split set, the given one first; just the one when it is not split. */
export function splitFiles(path: string): string[] {
  const match = /-(\d{5})-of-(\d{5})\.gguf$/.exec(path)
  if (!match) return [path]
  const count = Number(match[2])
  return Array.from({ length: count }, (_, index) =>
    path.replace(/-\d{5}-of-/, `-${String(index + 1).padStart(5, '0')}-of-`),
  )
}

export function headerNumber(header: GgufHeader, key: string): number | null {
  const value = header.keys.get(`${header.architecture}.${key}`)
  return typeof value === 'number' ? value : null
}

export function headerText(header: GgufHeader, key: string): string | null {
  const value = header.keys.get(key)
  return typeof value === 'string' ? value : null
}
