import type { GgufCursor } from './gguf-cursor.ts'
import type { GgufArray, GgufElementType, GgufScalar, GgufValue } from './gguf-header.ts'

/** Arrays longer than this are vocabularies, not settings; per-layer arrays have a few hundred entries. */
const maxKeptArray = 4096
/** All strings kept, in bytes; a chat template has a few thousand. */
const maxKeptStringBytes = 8 * 1024 * 1024
const maxKeys = 65_536
const maxKeyBytes = 65_535

interface Kind {
  name: GgufElementType
  /** Bytes of one element; for a string, of its length. */
  bytes: number
  read: (view: DataView, at: number) => GgufScalar
}

const kinds: readonly (Kind | null)[] = [
  { name: 'uint8', bytes: 1, read: (view, at) => view.getUint8(at) },
  { name: 'int8', bytes: 1, read: (view, at) => view.getInt8(at) },
  { name: 'uint16', bytes: 2, read: (view, at) => view.getUint16(at, true) },
  { name: 'int16', bytes: 2, read: (view, at) => view.getInt16(at, true) },
  { name: 'uint32', bytes: 4, read: (view, at) => view.getUint32(at, true) },
  { name: 'int32', bytes: 4, read: (view, at) => view.getInt32(at, true) },
  { name: 'float32', bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  { name: 'bool', bytes: 1, read: (view, at) => view.getUint8(at) !== 0 },
  { name: 'string', bytes: 8, read: () => '' },
  null, // 9 is "array"
  { name: 'uint64', bytes: 8, read: (view, at) => exactOrBig(view.getBigUint64(at, true)) },
  { name: 'int64', bytes: 8, read: (view, at) => exactOrBig(view.getBigInt64(at, true)) },
  { name: 'float64', bytes: 8, read: (view, at) => view.getFloat64(at, true) },
]
const arrayType = 9

function exactOrBig(value: bigint): number | bigint {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

const utf8 = new TextDecoder('utf-8')

/** Reads the key-value section. Memory is bounded whatever the file claims. */
export async function readMetadata(cursor: GgufCursor, count: number): Promise<Map<string, GgufValue>> {
  // The shortest entry is a one-byte key (9 bytes), a type (4) and a one-byte value.
  if (count > maxKeys || count * 14 > cursor.remaining) {
    throw cursor.fail(`it claims ${count} metadata entries, more than its size can hold`)
  }
  const budget = { stringBytes: maxKeptStringBytes }
  const metadata = new Map<string, GgufValue>()
  for (let index = 0; index < count; index++) {
    const key = await readKey(cursor, index)
    if (metadata.has(key)) throw cursor.fail(`metadata key "${key}" stands there twice`)
    metadata.set(key, await readValue(cursor, key, budget))
  }
  return metadata
}

async function readKey(cursor: GgufCursor, index: number): Promise<string> {
  const what = `the name of metadata entry ${index}`
  const length = await cursor.uint64(`the length of ${what}`)
  if (length === 0) throw cursor.fail(`${what} is empty`)
  if (length > maxKeyBytes) throw cursor.fail(`${what} claims ${length} bytes`)
  await cursor.need(length, what)
  return utf8.decode(cursor.takeBytes(length))
}

interface Budget {
  stringBytes: number
}

async function readValue(cursor: GgufCursor, key: string, budget: Budget): Promise<GgufValue> {
  const type = await cursor.uint32(`the type of "${key}"`)
  if (type === arrayType) return readArray(cursor, key, budget)
  const kind = kindOf(cursor, type, key)
  if (kind.name === 'string') return (await readString(cursor, `the value of "${key}"`, budget)) ?? ''
  await cursor.need(kind.bytes, `the value of "${key}"`)
  const { view, at } = cursor.takeView(kind.bytes)
  return kind.read(view, at)
}

function kindOf(cursor: GgufCursor, type: number, key: string): Kind {
  const kind = kinds[type]
  if (!kind) throw cursor.fail(`"${key}" has the unknown value type ${type}`)
  return kind
}

/** A string, or null when the budget for kept strings is used up and it was skipped. */
async function readString(cursor: GgufCursor, what: string, budget: Budget): Promise<string | null> {
  if (!cursor.has(8)) await cursor.need(8, what)
  const length = cursor.takeUint64(`the length of ${what}`)
  if (length > budget.stringBytes) {
    cursor.skip(length, what)
    return null
  }
  if (!cursor.has(length)) await cursor.need(length, what)
  budget.stringBytes -= length
  return utf8.decode(cursor.takeBytes(length))
}

async function readArray(cursor: GgufCursor, key: string, budget: Budget): Promise<GgufArray> {
  const type = await cursor.uint32(`the element type of "${key}"`)
  const length = await cursor.uint64(`the length of "${key}"`)
  const kind = kindOf(cursor, type, key)
  if (length * kind.bytes > cursor.remaining) {
    throw cursor.fail(`"${key}" claims ${length} elements, more than the file can hold`)
  }
  const keep = length <= maxKeptArray
  const values =
    kind.name === 'string'
      ? await readStrings(cursor, key, length, keep, budget)
      : await readScalars(cursor, key, length, keep, kind)
  return { elementType: kind.name, length, values }
}

async function readScalars(
  cursor: GgufCursor,
  key: string,
  length: number,
  keep: boolean,
  kind: Kind,
): Promise<GgufScalar[] | null> {
  if (!keep) {
    cursor.skip(length * kind.bytes, `"${key}"`)
    return null
  }
  await cursor.need(length * kind.bytes, `"${key}"`)
  const { view, at } = cursor.takeView(length * kind.bytes)
  return Array.from({ length }, (_, index) => kind.read(view, at + index * kind.bytes))
}

async function readStrings(
  cursor: GgufCursor,
  key: string,
  length: number,
  keep: boolean,
  budget: Budget,
): Promise<string[] | null> {
  const values: string[] = []
  let kept = keep
  const what = `an element of "${key}"`
  for (let index = 0; index < length; index++) {
    if (kept) {
      const value = await readString(cursor, what, budget)
      if (value === null) kept = false
      else values.push(value)
      continue
    }
    if (!cursor.has(8)) await cursor.need(8, what)
    cursor.skip(cursor.takeUint64(`the length of ${what}`), what)
  }
  return kept ? values : null
}
