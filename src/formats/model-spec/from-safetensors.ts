import { parseQuant, type QuantMix, type WeightBytes } from '../../planner/index.ts'
import type { SafetensorsHeader, SafetensorsTensor } from '../safetensors/read-safetensors.ts'
import { modelFromConfig } from './from-config.ts'
import type { ModelFromFile } from './from-gguf.ts'

/** The planner's model from `config.json` and the headers of the weight files: shape from one, exact bytes from the other. */

const isExpert = (name: string) => /\.experts\.|switch_mlp\./.test(name) && !/shared_expert/.test(name)
const isTable = (name: string) => /embed_tokens|wte\.weight|word_embeddings/.test(name)
const isHead = (name: string) => /lm_head\./.test(name)
const isScale = (name: string) => /\.(scales|biases|weight_scale(_inv)?|qzeros|g_idx)$/.test(name)

const sum = (tensors: readonly SafetensorsTensor[], pick: (name: string) => boolean) =>
  tensors.filter((tensor) => pick(tensor.name)).reduce((total, tensor) => total + tensor.bytes, 0)

/** MLX packs quantised weights in 32-bit words and says so under `quantization`. */
function quantOf(
  config: unknown,
  headers: readonly SafetensorsHeader[],
): { quant: QuantMix; packed: number } {
  const body = config as {
    quantization?: { bits?: number; group_size?: number }
    quantization_config?: { quant_method?: string; bits?: number }
  }
  const bits = body?.quantization?.bits
  if (bits) {
    const quant = parseQuant(`${bits}bit g${body.quantization?.group_size ?? 64}`, true)
    if (quant) return { quant, packed: 32 / bits }
  }
  const method = body?.quantization_config?.quant_method
  if (method === 'fp8') return { quant: parseQuant('FP8') as QuantMix, packed: 1 }
  if (method === 'awq' || method === 'gptq') return { quant: parseQuant('AWQ') as QuantMix, packed: 8 }
  if (method === 'mxfp4') return { quant: parseQuant('MXFP4') as QuantMix, packed: 2 }
  const wide = headers.flatMap((header) => header.tensors).some((tensor) => tensor.dtype === 'F32')
  return { quant: parseQuant(wide ? 'F32' : 'BF16') as QuantMix, packed: 1 }
}

/** @throws HolonError model_file_invalid */
export function modelFromSafetensors(
  config: unknown,
  headers: readonly SafetensorsHeader[],
  source: string,
): ModelFromFile {
  const tensors = headers.flatMap((header) => header.tensors)
  const { quant, packed } = quantOf(config, headers)
  const params = tensors
    .filter((tensor) => !isScale(tensor.name))
    .reduce((total, tensor) => total + tensor.weights * (/^[UI](32|8)$/.test(tensor.dtype) ? packed : 1), 0)
  const model = modelFromConfig(config, source, params > 0 ? params : null)
  const total = tensors.reduce((bytes, tensor) => bytes + tensor.bytes, 0)
  const experts = sum(tensors, isExpert)
  const tied = !tensors.some((tensor) => isHead(tensor.name))
  const table = sum(tensors, isTable)
  const lookup = tied ? 0 : table
  const weights: WeightBytes = {
    total,
    experts,
    lookup,
    dense: total - experts - lookup,
    head: tied ? table : sum(tensors, isHead),
    how: 'header',
  }
  return { model, weights, quant }
}
