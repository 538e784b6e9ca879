import { HolonError } from '../../core/errors.ts'
import { formatBytes, GiB } from '../../core/units.ts'
import { type GgufHeader, ggufNumber, ggufString } from '../../formats/gguf/gguf-header.ts'
import { readGgufSet } from '../../formats/gguf/read-gguf-set.ts'
import { type CacheBytes, cacheBytesOf } from '../../formats/model-spec/cache-bytes.ts'

/** What an engine must know of a model before it loads it: how big it is and what its context costs. */
export interface ModelShape {
  header: GgufHeader
  architecture: string
  weightsBytes: number
  /** The longest context it was trained for, in tokens; null when the file does not say. */
  trainedContext: number | null
  cacheBytes: CacheBytes
  layers: number
  /** How an embedding model makes one vector of its tokens' states; null when the file does not say. */
  pooling: 'mean' | 'first' | 'last' | 'none' | null
}

/** llama.h's numbering. */
const poolings: Record<number, ModelShape['pooling']> = { 0: 'none', 1: 'mean', 2: 'first', 3: 'last' }

/**
 * Reads the headers of all files of the set.
 * @throws HolonError model_file_missing, model_file_invalid
 */
export async function readModelShape(path: string): Promise<ModelShape> {
  const { header, tensors, totalBytes } = await readGgufSet(path)
  const architecture = ggufString(header, 'general.architecture')
  if (architecture === null) {
    throw new HolonError('model_file_invalid', `The model file ${path} does not name its architecture.`)
  }
  const layers = ggufNumber(header, `${architecture}.block_count`) ?? 0
  return {
    header,
    architecture,
    weightsBytes: totalBytes,
    trainedContext: ggufNumber(header, `${architecture}.context_length`),
    cacheBytes: cacheBytesOf(header, tensors),
    layers,
    pooling: poolings[ggufNumber(header, `${architecture}.pooling_type`) ?? -1] ?? null,
  }
}

/** Pooling that needs every token of the input in one batch. */
export function poolsWholeInput(shape: Pick<ModelShape, 'pooling'>): boolean {
  return shape.pooling === 'mean' || shape.pooling === 'first'
}

/** Weights as they stand in memory, and scratch space for one batch. */
const computeBytes = 0.3 * GiB
const smallestContext = 256
/** More than this is allotted only when asked for: a KV cache nobody uses still takes the memory. */
const defaultLongest = 8192

/**
 * Tokens per sequence: what was asked, else what the model was trained for, as far as half of the memory left
 * beside the weights holds it for all sequences. Each sequence has its own budget, so that one long
 * conversation never takes another's room.
 * @throws HolonError model_too_big, invalid_parameter
 */
export function chooseContext(
  shape: Pick<ModelShape, 'weightsBytes' | 'trainedContext' | 'cacheBytes'>,
  wish: { contextTokens: number | null; parallel: number; availableBytes: number },
): number {
  const { parallel, availableBytes } = wish
  const trained = shape.trainedContext ?? 4096
  const left = availableBytes - shape.weightsBytes - Math.min(computeBytes, shape.weightsBytes)
  const needed = (tokens: number): number => shape.cacheBytes(tokens, parallel)
  if (wish.contextTokens !== null && wish.contextTokens > trained) {
    throw new HolonError(
      'invalid_parameter',
      `A context of ${wish.contextTokens} tokens was asked for, but the model was trained for ${trained}.`,
      { param: 'context', hint: `Ask for at most ${trained}.` },
    )
  }
  const least = wish.contextTokens ?? Math.min(trained, smallestContext)
  if (needed(least) > left) {
    const total = shape.weightsBytes + needed(least)
    throw new HolonError(
      'model_too_big',
      `The model needs about ${formatBytes(total)} (weights ${formatBytes(shape.weightsBytes)}, and a context of ` +
        `${least} tokens for ${parallel} at once), but ${formatBytes(Math.max(0, availableBytes))} of memory is free.`,
    )
  }
  if (wish.contextTokens !== null) return wish.contextTokens
  let tokens = Math.min(trained, defaultLongest)
  while (tokens > least && needed(tokens) > left / 2) tokens = Math.max(least, Math.floor(tokens / 2))
  return tokens
}
