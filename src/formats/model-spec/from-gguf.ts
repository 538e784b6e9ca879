import { HolonError } from '../../core/errors.ts'
import { type ModelSpec, parseQuant, type QuantMix, type WeightBytes } from '../../planner/index.ts'
import { quantOfHeader } from '../gguf/file-type.ts'
import type { GgufHeader, GgufTensor, GgufValue } from '../gguf/gguf-header.ts'
import { type Shape, specFromShape } from './shape.ts'

/** The planner's model from a GGUF header: exact bytes per tensor, real attention, experts, context. */

export interface ModelFromFile {
  model: ModelSpec
  weights: WeightBytes
  quant: QuantMix
}

function scalar(value: GgufValue | undefined): number | null {
  if (typeof value === 'number') return value
  if (typeof value === 'bigint') return Number(value)
  return null
}

function list(value: GgufValue | undefined): readonly number[] | null {
  if (typeof value !== 'object' || value === null || value.values === null) return null
  return value.values.map((entry) => Number(entry))
}

const isExpert = (name: string) => /\.ffn_(up|gate|down|gate_up)_exps\./.test(name)
const isHead = (name: string) => /^output\.weight$/.test(name)

const sum = (tensors: readonly GgufTensor[], of: (tensor: GgufTensor) => number) =>
  tensors.reduce((total, tensor) => total + of(tensor), 0)

/** @throws HolonError model_file_invalid when a key the planner needs is missing or impossible */
export function modelFromGguf(
  header: GgufHeader,
  tensors: readonly GgufTensor[],
  source: string,
): ModelFromFile {
  const { metadata } = header
  const architecture = metadata.get('general.architecture')
  if (typeof architecture !== 'string')
    throw new HolonError('model_file_invalid', `${source} does not say its architecture.`)
  const key = (name: string) => metadata.get(`${architecture}.${name}`)
  const need = (name: string): number => {
    const value = scalar(key(name))
    if (value === null)
      throw new HolonError(
        'model_file_invalid',
        `${source} has no ${architecture}.${name}, without which it cannot be planned for.`,
      )
    return value
  }
  const layers = need('block_count')
  const hidden = need('embedding_length')
  const headList = list(key('attention.head_count'))
  const heads = headList ? Math.max(...headList) : need('attention.head_count')
  const kvHeads = list(key('attention.head_count_kv')) ?? scalar(key('attention.head_count_kv')) ?? heads
  const table = tensors.find((tensor) => tensor.name.startsWith('token_embd.'))
  const latentRank = scalar(key('attention.kv_lora_rank'))
  const interval = scalar(key('full_attention_interval'))
  const name = metadata.get('general.name')
  const shape: Shape = {
    name: typeof name === 'string' && name !== '' ? name : source,
    architecture,
    layers,
    hidden,
    heads,
    kvHeads,
    keyDim: scalar(key('attention.key_length')) ?? hidden / heads,
    valueDim: scalar(key('attention.value_length')) ?? scalar(key('attention.key_length')) ?? hidden / heads,
    vocab: scalar(key('vocab_size')) ?? table?.shape[1] ?? 32_000,
    maxContext: scalar(key('context_length')),
    tied: !tensors.some((tensor) => isHead(tensor.name)),
    window: scalar(key('attention.sliding_window')),
    windowPattern: windowPattern(architecture, key('attention.sliding_window_pattern')),
    fullLayers: interval !== null && interval > 0 ? Math.floor(layers / interval) : null,
    stateBytes: interval !== null ? ssmState(key, layers - Math.floor(layers / interval)) : 0,
    latent: latentRank === null ? null : latentRank + (scalar(key('rope.dimension_count')) ?? 64),
    sharedKvLayers: scalar(key('attention.shared_kv_layers')) ?? 0,
    experts: scalar(key('expert_count')) ?? 0,
    expertsUsed: scalar(key('expert_used_count')) ?? 0,
    routedParams: sum(
      tensors.filter((tensor) => isExpert(tensor.name)),
      (tensor) => tensor.weights,
    ),
    expertFfn: null,
    denseLeadLayers: scalar(key('leading_dense_block_count')) ?? 0,
    paramsTotal: sum(tensors, (tensor) => tensor.weights),
    source,
  }
  const model = specFromShape(shape)
  return { model, weights: exactBytes(tensors, shape.tied), quant: quantOf(header, tensors) }
}

/** One global layer in so many; by convention of the architecture when the file does not say. */
function windowPattern(architecture: string, value: GgufValue | undefined): number | null {
  const flags = list(value)
  if (flags && flags.length > 0) {
    const full = flags.filter((flag) => flag === 0).length
    return full === 0 ? flags.length + 1 : flags.length / full
  }
  const stated = scalar(value)
  if (stated !== null && stated > 0) return stated
  if (architecture === 'gemma3' || architecture === 'gemma3n') return 6
  if (architecture === 'gemma2' || architecture === 'gpt-oss') return 2
  if (architecture.startsWith('llama4') || architecture === 'cohere2') return 4
  return null
}

/** Recurrent state of the linear layers, 32-bit: inner size x state size, plus the convolution window. */
function ssmState(key: (name: string) => GgufValue | undefined, linearLayers: number): number {
  const inner = scalar(key('ssm.inner_size')) ?? 0
  const state = scalar(key('ssm.state_size')) ?? 0
  const conv = scalar(key('ssm.conv_kernel')) ?? 0
  const groups = scalar(key('ssm.group_count')) ?? 0
  return (
    Math.max(0, linearLayers) * (inner * state + Math.max(0, conv - 1) * (inner + 2 * groups * state)) * 4
  )
}

function exactBytes(tensors: readonly GgufTensor[], tied: boolean): WeightBytes {
  const bytes = (pick: (name: string) => boolean) =>
    sum(
      tensors.filter((tensor) => pick(tensor.name)),
      (tensor) => tensor.bytes,
    )
  const total = sum(tensors, (tensor) => tensor.bytes)
  const experts = bytes(isExpert)
  const table = bytes((name) => name.startsWith('token_embd.'))
  const perLayer = bytes((name) => name.startsWith('per_layer_token_embd.'))
  const lookup = (tied ? 0 : table) + perLayer
  return {
    total,
    experts,
    lookup,
    dense: total - experts - lookup,
    head: tied ? table : bytes(isHead),
    how: 'header',
  }
}

function quantOf(header: GgufHeader, tensors: readonly GgufTensor[]): QuantMix {
  return parseQuant(quantOfHeader(header, tensors) ?? 'F16') ?? (parseQuant('F16') as QuantMix)
}
