/** What a model file is, from its own header: the words people see and the shape the memory estimate needs. */
import { asHolonError } from '../../core/errors.ts'
import { quantOfHeader } from '../../formats/gguf/file-type.ts'
import {
  type GgufHeader,
  type GgufTensor,
  ggufArray,
  ggufBoolean,
  ggufNumber,
  ggufString,
} from '../../formats/gguf/gguf-header.ts'
import { readGgufSet } from '../../formats/gguf/read-gguf-set.ts'
import { weightsId } from '../../formats/gguf/weights-id.ts'
import { cacheBytesOf } from '../../formats/model-spec/cache-bytes.ts'
import type { ModelNaming } from '../../protocol/model.ts'
import type { ModelShape } from '../memory-need.ts'

export interface ModelDescription {
  /** `adapter`, `mmproj`, `imatrix`: files that are parts of models, not models. */
  kind: 'model' | 'part'
  architecture: string | null
  name: string | null
  /** What the header says of the name, part by part. */
  naming: ModelNaming | null
  /** See `weightsId`; null when the file cannot be used. */
  weightsId: string | null
  quant: string | null
  paramsTotal: number | null
  sizeBytes: number
  contextMax: number | null
  embedding: boolean
  problem: string | null
  /** Null when the file cannot be used. */
  shape: ModelShape | null
}

const broken: Omit<ModelDescription, 'sizeBytes' | 'problem'> = {
  kind: 'model',
  architecture: null,
  name: null,
  naming: null,
  weightsId: null,
  quant: null,
  paramsTotal: null,
  contextMax: null,
  embedding: false,
  shape: null,
}

/** Never throws: a file that cannot be used is described with its problem. `sizeBytes` is what is on the disk. */
export async function describeModel(path: string, sizeBytes: number): Promise<ModelDescription> {
  try {
    const set = await readGgufSet(path)
    const { header, tensors } = set
    const type = ggufString(header, 'general.type')
    const architecture = ggufString(header, 'general.architecture')
    const shape = architecture === null ? null : shapeOf(header, architecture, tensors)
    return {
      kind: type === null || type === 'model' ? 'model' : 'part',
      architecture,
      name: ggufString(header, 'general.name'),
      naming: namingOf(header),
      weightsId: tensors.length > 0 ? await weightsId(set) : null,
      quant: quantOfHeader(header, tensors),
      paramsTotal: tensors.reduce((sum, tensor) => sum + tensor.weights, 0) || null,
      sizeBytes,
      contextMax: architecture === null ? null : contextOf(header, architecture),
      embedding: architecture !== null && isEmbedding(header, architecture),
      problem: problemOf(architecture, tensors.length),
      shape,
    }
  } catch (thrown) {
    return { ...broken, sizeBytes, problem: asHolonError(thrown).message }
  }
}

/** Long values are cut: a header is not to be trusted, and this goes to the hub with every model. */
function namingOf(header: GgufHeader): ModelNaming {
  const text = (key: string): string | null => ggufString(header, key)?.slice(0, 200) ?? null
  const bases = Math.min(16, ggufNumber(header, 'general.base_model.count') ?? 0)
  return {
    name: text('general.name'),
    basename: text('general.basename'),
    sizeLabel: text('general.size_label'),
    finetune: text('general.finetune'),
    version: text('general.version'),
    baseModels: Array.from({ length: Math.max(0, bases) }, (_, index) =>
      text(`general.base_model.${index}.name`),
    ).filter((name) => name !== null),
  }
}

function problemOf(architecture: string | null, tensors: number): string | null {
  if (architecture === null) return 'The file does not say of which architecture the model is.'
  if (tensors === 0) return 'The file holds a vocabulary and no weights.'
  return null
}

function contextOf(header: GgufHeader, architecture: string): number | null {
  const tokens = ggufNumber(header, `${architecture}.context_length`)
  return tokens !== null && Number.isSafeInteger(tokens) && tokens > 0 ? tokens : null
}

/** Encoders pool their tokens into one vector (mean, cls, last, rank) or look both ways; generators do neither. */
function isEmbedding(header: GgufHeader, architecture: string): boolean {
  const pooling = ggufNumber(header, `${architecture}.pooling_type`)
  if (pooling !== null && pooling >= 1 && pooling <= 4) return true
  return (
    ggufBoolean(header, `${architecture}.attention.causal`) === false || /bert|t5encoder/.test(architecture)
  )
}

function shapeOf(header: GgufHeader, architecture: string, tensors: readonly GgufTensor[]): ModelShape {
  const number = (key: string): number | null => ggufNumber(header, `${architecture}.${key}`)
  return {
    weightBytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    cacheBytes: cacheBytesOf(header, tensors),
    embeddingLength: number('embedding_length') ?? 0,
    vocabulary: ggufArray(header, 'tokenizer.ggml.tokens')?.length ?? number('vocab_size') ?? 0,
  }
}
