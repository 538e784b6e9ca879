/**
 * Reads what a GGUF file says about itself. Every model on disk and every model considered for download goes
 * through here first, because the native readers crash on damaged files and this one must not: it never trusts a
 * length, holds at most one chunk and the small values in memory, and fails only with a HolonError that says where.
 * It knows nothing of what the numbers mean to a planner or an engine.
 */
import { formatBytes } from '../../core/units.ts'
import type { ByteSource } from '../byte-source.ts'
import { GgufCursor } from './gguf-cursor.ts'
import type { GgufHeader, GgufSplit, GgufValue } from './gguf-header.ts'
import { readMetadata } from './read-metadata.ts'
import { padTo, readTensors } from './read-tensors.ts'

export interface ReadGgufOptions {
  /**
   * Refuse a source shorter than its tensors need (the default). False describes a header whose weights are
   * not there, such as the first megabytes of a download.
   */
  requireWeights?: boolean
}

const magic = 0x46554747 // "GGUF", little endian
const defaultAlignment = 32
const maxAlignment = 1024 * 1024

/**
 * The header of a GGUF file, version 2 or 3, little endian.
 * @throws HolonError model_file_invalid with what is wrong and at which byte; whatever `source.read` throws
 */
export async function readGguf(source: ByteSource, options: ReadGgufOptions = {}): Promise<GgufHeader> {
  const cursor = new GgufCursor(source)
  const version = await readVersion(cursor)
  const tensorCount = await cursor.uint64('the number of tensors')
  const metadataCount = await cursor.uint64('the number of metadata entries')
  const metadata = await readMetadata(cursor, metadataCount)
  const alignment = alignmentOf(cursor, metadata)
  const tensors = await readTensors(cursor, tensorCount, alignment)

  const dataOffset = tensors.length > 0 ? padTo(cursor.offset, alignment) : cursor.offset
  const last = tensors.at(-1)
  const fileBytes = dataOffset + (last ? last.offset + last.bytes : 0)
  if ((options.requireWeights ?? true) && source.size !== null && source.size < fileBytes) {
    const missing = `${formatBytes(source.size)} of ${formatBytes(fileBytes)} are there`
    throw cursor.fail(`it is cut short: ${missing} (${source.size} of ${fileBytes} bytes)`)
  }
  return {
    version,
    metadata,
    tensors,
    alignment,
    dataOffset,
    fileBytes,
    tensorBytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    split: splitOf(cursor, metadata),
  }
}

async function readVersion(cursor: GgufCursor): Promise<2 | 3> {
  if ((await cursor.uint32('the magic number')) !== magic) {
    throw cursor.fail('it does not start with "GGUF"')
  }
  const version = await cursor.uint32('the version')
  if (version === 2 || version === 3) return version
  if (version === 1) throw cursor.fail('it is GGUF version 1, which engines stopped reading in 2023')
  // The version's bytes swapped: 3 becomes 0x03000000.
  if (version !== 0 && (version & 0xffff) === 0) {
    throw cursor.fail('it is big endian; this reader and the engines here read little endian files')
  }
  throw cursor.fail(`it is GGUF version ${version}; versions 2 and 3 are known`)
}

function alignmentOf(cursor: GgufCursor, metadata: Map<string, GgufValue>): number {
  const value = metadata.get('general.alignment') ?? defaultAlignment
  const powerOfTwo = typeof value === 'number' && Number.isInteger(Math.log2(value))
  if (!powerOfTwo || value < 1 || value > maxAlignment) {
    throw cursor.fail('its general.alignment is no power of two')
  }
  return value
}

function splitOf(cursor: GgufCursor, metadata: Map<string, GgufValue>): GgufSplit | null {
  const count = metadata.get('split.count')
  if (typeof count !== 'number' || count <= 1) return null
  const index = metadata.get('split.no')
  if (typeof index !== 'number' || index < 0 || index >= count) {
    throw cursor.fail(`it says it is part ${String(index)} of a split of ${count}`)
  }
  const tensors = metadata.get('split.tensors.count')
  return { index, count, tensors: typeof tensors === 'number' ? tensors : null }
}
