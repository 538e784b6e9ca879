/**
 * One name for the same weights on every machine, without reading gigabytes. Names, shapes and types of the tensors
 * alone are equal for every fine-tune of one base at one quant, so samples of the weights themselves are mixed in:
 * any training, merge or requantisation changes nearly all of them.
 */
import { createHash } from 'node:crypto'
import { fileByteSource } from '../byte-source-file.ts'
import type { GgufHeader, GgufTensor } from './gguf-header.ts'
import type { GgufSet } from './read-gguf-set.ts'

/** Tensors that are sampled, spread over the whole model, and bytes from the middle of each. */
const maxSamples = 128
const sampleBytes = 512

interface Placed {
  tensor: GgufTensor
  path: string
  header: GgufHeader
}

/**
 * `gguf-` and 24 hexadecimal digits; the same for one file and the same model split in several.
 * @throws HolonError model_file_missing; NodeJS.ErrnoException when a file cannot be read
 */
export async function weightsId(set: GgufSet): Promise<string> {
  const placed: Placed[] = set.files.flatMap(({ path, header }) =>
    header.tensors.map((tensor) => ({ tensor, path, header })),
  )
  placed.sort((a, b) => (a.tensor.name < b.tensor.name ? -1 : a.tensor.name > b.tensor.name ? 1 : 0))
  const hash = createHash('sha256')
  for (const { tensor } of placed) {
    hash.update(JSON.stringify([tensor.name, tensor.type.name, tensor.shape, tensor.bytes]))
  }
  const step = Math.max(1, placed.length / maxSamples)
  const sampled = new Set<Placed>()
  for (let at = 0; at < placed.length; at += step) sampled.add(placed[Math.floor(at)]!)
  const bytes = await readSamples([...sampled])
  for (const one of sampled) hash.update(bytes.get(one) ?? '')
  return `gguf-${hash.digest('hex').slice(0, 24)}`
}

/** Each file is opened once. */
async function readSamples(samples: readonly Placed[]): Promise<Map<Placed, Uint8Array>> {
  const found = new Map<Placed, Uint8Array>()
  for (const path of new Set(samples.map((sample) => sample.path))) {
    const source = await fileByteSource(path)
    try {
      for (const sample of samples.filter((candidate) => candidate.path === path)) {
        const { tensor, header } = sample
        const length = Math.min(sampleBytes, tensor.bytes)
        const middle = header.dataOffset + tensor.offset + Math.floor((tensor.bytes - length) / 2)
        found.set(sample, await source.read(middle, length))
      }
    } finally {
      await source.close()
    }
  }
  return found
}
