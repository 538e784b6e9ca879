import { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import type { ByteSource } from '../byte-source.ts'

/**
 * Reads the header of a safetensors file: eight bytes of length, then JSON. As with GGUF, no length is trusted: a
 * header larger than any real one is refused before it is read, and offsets must be orderly.
 */

export interface SafetensorsTensor {
  name: string
  dtype: string
  shape: readonly number[]
  bytes: number
  weights: number
}

export interface SafetensorsHeader {
  tensors: readonly SafetensorsTensor[]
  metadata: Readonly<Record<string, string>>
  tensorBytes: number
  params: number
}

/** The reference implementation's own limit. */
const MOST_HEADER_BYTES = 100_000_000

const entry = z.object({
  dtype: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  data_offsets: z.tuple([z.number().int().nonnegative(), z.number().int().nonnegative()]),
})

/** @throws HolonError model_file_invalid with what is wrong; whatever `source.read` throws */
export async function readSafetensors(source: ByteSource): Promise<SafetensorsHeader> {
  const fail = (what: string) =>
    new HolonError('model_file_invalid', `${source.name} is no sound safetensors file: ${what}.`)
  const prefix = await source.read(0, 8)
  if (prefix.length < 8) throw fail('it ends within its first 8 bytes')
  const length = Number(new DataView(prefix.buffer, prefix.byteOffset, 8).getBigUint64(0, true))
  if (length < 2 || length > MOST_HEADER_BYTES) throw fail(`its header claims ${length} bytes`)
  if (source.size !== null && 8 + length > source.size)
    throw fail(`its header claims ${length} bytes and the file has ${source.size}`)
  const body = await source.read(8, length)
  if (body.length < length) throw fail('it ends within its header')
  let parsed: unknown
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw fail('its header is not JSON')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw fail('its header is not an object')
  const tensors: SafetensorsTensor[] = []
  let metadata: Record<string, string> = {}
  for (const [name, value] of Object.entries(parsed)) {
    if (name === '__metadata__') {
      metadata = Object.fromEntries(Object.entries(value as object).map(([key, text]) => [key, String(text)]))
      continue
    }
    const tensor = entry.safeParse(value)
    if (!tensor.success) throw fail(`tensor "${name}" has no dtype, shape and offsets`)
    const [begin, end] = tensor.data.data_offsets
    if (end < begin) throw fail(`tensor "${name}" ends before it begins`)
    if (source.size !== null && 8 + length + end > source.size)
      throw fail(`it is cut short: tensor "${name}" ends at byte ${8 + length + end} of ${source.size}`)
    const weights = tensor.data.shape.reduce((product, size) => product * size, 1)
    tensors.push({ name, dtype: tensor.data.dtype, shape: tensor.data.shape, bytes: end - begin, weights })
  }
  return {
    tensors,
    metadata,
    tensorBytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    params: tensors.reduce((sum, tensor) => sum + tensor.weights, 0),
  }
}
