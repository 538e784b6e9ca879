import type { GgmlType } from './ggml-types.ts'

/** What a GGUF file says about itself, and nothing that needs the weights. */
export interface GgufHeader {
  readonly version: 2 | 3
  /** Every key of the file. Arrays too big to be worth the memory keep their length and no values. */
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly tensors: readonly GgufTensor[]
  /** Bytes to which tensor data is aligned. */
  readonly alignment: number
  /** Where the tensor data starts, bytes from the start of the file. */
  readonly dataOffset: number
  /** How long the file must be to hold every tensor, bytes. */
  readonly fileBytes: number
  /** Sum of the tensors' bytes, without padding. */
  readonly tensorBytes: number
  /** Set when this file is one of several that make up the model. */
  readonly split: GgufSplit | null
}

export type GgufScalar = number | bigint | boolean | string
export type GgufValue = GgufScalar | GgufArray

export interface GgufArray {
  readonly elementType: GgufElementType
  readonly length: number
  /** Null when the array was skipped to bound memory (a vocabulary, merges, token scores). */
  readonly values: readonly GgufScalar[] | null
}

export type GgufElementType =
  | 'uint8'
  | 'int8'
  | 'uint16'
  | 'int16'
  | 'uint32'
  | 'int32'
  | 'float32'
  | 'bool'
  | 'string'
  | 'uint64'
  | 'int64'
  | 'float64'

export interface GgufTensor {
  readonly name: string
  /** Fastest-running dimension first, as in the file; one to four numbers. */
  readonly shape: readonly number[]
  readonly type: GgmlType
  /** Bytes from `dataOffset`. */
  readonly offset: number
  /** Exact bytes of the tensor, without padding. */
  readonly bytes: number
  readonly weights: number
}

export interface GgufSplit {
  /** Counted from 0. */
  readonly index: number
  readonly count: number
  /** Tensors in all files together, when the file says so. */
  readonly tensors: number | null
}

/** A number under `key`, or null when it is absent, not a number, or beyond exact arithmetic. */
export function ggufNumber(header: GgufHeader, key: string): number | null {
  const value = header.metadata.get(key)
  return typeof value === 'number' ? value : null
}

export function ggufString(header: GgufHeader, key: string): string | null {
  const value = header.metadata.get(key)
  return typeof value === 'string' ? value : null
}

export function ggufBoolean(header: GgufHeader, key: string): boolean | null {
  const value = header.metadata.get(key)
  return typeof value === 'boolean' ? value : null
}

/** The array under `key`, also when its values were skipped. */
export function ggufArray(header: GgufHeader, key: string): GgufArray | null {
  const value = header.metadata.get(key)
  return typeof value === 'object' ? value : null
}

/**
 * A per-layer quantity: newer files give one number for all layers or an array with one per layer
 * (`attention.head_count_kv` of hybrid models). Null when absent or when the values were skipped.
 */
export function ggufPerLayer(header: GgufHeader, key: string, layers: number): readonly number[] | null {
  const value = header.metadata.get(key)
  if (typeof value === 'number') return new Array<number>(layers).fill(value)
  if (typeof value !== 'object' || value.values === null) return null
  return value.values.map((entry) =>
    typeof entry === 'boolean' ? Number(entry) : entry,
  ) as readonly number[]
}
