import { type QuantFact, quantById } from '../facts/index.ts'
import type { ModelSpec } from './model-spec.ts'

/**
 * What a quant's name means in bits per weight, tensor group by tensor group. A "Q4_K_M" file is a mix: the output
 * head stays at 6.56 bits, so that small models with large vocabularies come out well above the 4.8 bits usually quoted.
 */

export type QuantClass =
  | 'f16'
  | 'int8'
  | 'k6'
  | 'k5'
  | 'k4'
  | 'k3'
  | 'k2'
  | 'legacy4'
  | 'iq'
  | 'fp4'
  | 'affine'
  | 'tiny'

export interface QuantMix {
  id: string
  class: QuantClass
  /** Bits per weight of the layers, of routed experts, and of the output head. */
  bpw: number
  expertBpw: number
  headBpw: number
  /** Bits per weight of the token table when it is not also the head. */
  tableBpw: number
  source: string
  unverified: boolean
}

const Q6_K = 6.5625
const Q8_0 = 8.5
/** Share of the output head in Llama-3-8B, from which the measured whole-file figures are taken apart. */
const HEAD_SHARE_8B = 0.0654

function fromFileMix(id: string, fact: QuantFact, quantClass: QuantClass): QuantMix {
  const whole = fact.bpw_llama3_8b ?? fact.bpw
  const bpw = (whole - HEAD_SHARE_8B * Q6_K) / (1 - HEAD_SHARE_8B)
  return mix(id, quantClass, bpw, {
    headBpw: Q6_K,
    source: fact.source,
    unverified: fact.unverified ?? false,
  })
}

function mix(id: string, quantClass: QuantClass, bpw: number, more: Partial<QuantMix> = {}): QuantMix {
  return {
    id,
    class: quantClass,
    bpw,
    expertBpw: more.expertBpw ?? bpw,
    headBpw: more.headBpw ?? bpw,
    tableBpw: more.tableBpw ?? bpw,
    source: more.source ?? 'block size of the format',
    unverified: more.unverified ?? false,
  }
}

function classOfGguf(name: string): QuantClass {
  if (name.startsWith('IQ4')) return 'iq'
  if (name.startsWith('IQ1') || name.startsWith('IQ2') || name.startsWith('IQ3')) return 'iq'
  if (name.startsWith('Q2')) return 'k2'
  if (name.startsWith('Q3')) return 'k3'
  if (name.startsWith('Q4_K')) return 'k4'
  if (name.startsWith('Q5')) return 'k5'
  if (name.startsWith('Q6')) return 'k6'
  return 'legacy4'
}

/**
 * Reads a quant name as people and files write it ("Q4_K_M", "UD-Q4_K_XL", "4bit g32", "MLX 8bit", "MXFP4", "bf16").
 * Returns null when nothing in it is known. `mlx` says that bare "4bit" means MLX affine groups of 64.
 */
export function parseQuant(text: string, mlx = false): QuantMix | null {
  const upper = text
    .toUpperCase()
    .replace(/^UD-/, '')
    .replace(/Q(\d)K\b/, 'Q$1_K')
    .replace(/,.*$/, '')
    .trim()
  if (/PQ2_0/.test(upper)) return mix('PQ2_0', 'tiny', 2.14, { source: 'file size over parameters' })
  if (/PTQ1_0/.test(upper)) return mix('PTQ1_0', 'tiny', 1.76, { source: 'file size over parameters' })
  if (/IQ2.?XXS.*Q8/.test(upper) || upper === 'Q2' || /^Q2 /.test(upper))
    return mix('q2', 'iq', Q8_0, { expertBpw: 2.11, source: '2-bit experts, 8-bit attention (ds4)' })
  if (upper === 'Q4' || /^Q4(?:_K|K)? EXPERTS/.test(upper))
    return mix('q4', 'k4', Q8_0, { expertBpw: 4.5, source: '4-bit experts, 8-bit attention' })
  if (/MXFP4 EXPERTS/.test(upper)) return mix('MXFP4', 'fp4', Q8_0, { expertBpw: 4.25 })
  if (/NVFP4/.test(upper)) return mix('NVFP4', 'fp4', 4.5, { headBpw: 8, tableBpw: 16, unverified: true })
  if (/MXFP8/.test(upper)) return mix('MXFP8', 'int8', 8.25, { unverified: true })
  if (/MXFP4/.test(upper)) return mix('MXFP4', 'fp4', Q8_0, { expertBpw: 4.25 })
  if (/AWQ|GPTQ|W4A16|INT4/.test(upper))
    return mix('AWQ', 'affine', 4.1562, { headBpw: 16, tableBpw: 16, source: 'INT4, groups of 128' })
  if (/FP8|E4M3/.test(upper)) return mix('FP8', 'int8', 8.002, { headBpw: 16, tableBpw: 16 })
  if (/BF16/.test(upper)) return mix('BF16', 'f16', 16)
  if (/\bF16|FP16/.test(upper)) return mix('F16', 'f16', 16)
  if (/\bF32|FP32/.test(upper)) return mix('F32', 'f16', 32)
  const affine = /(\d)[ -]?BIT(?:.*?G(?:S)?(\d+))?/.exec(upper)
  if (affine && (mlx || !/Q\d/.test(upper))) {
    const bits = Number(affine[1])
    const group = Number(affine[2] ?? 64)
    return mix(`MLX_${bits}bit_gs${group}`, bits >= 8 ? 'int8' : 'affine', bits + 32 / group)
  }
  const gguf = /(IQ\d_[A-Z]+|TQ\d_0|Q\d_K_(?:XL|XS|[SML])|Q\d_K|Q\d_[01]|Q[1-8]0\b)/.exec(upper)
  if (!gguf) return mlx && /DEFAULT|MLX/.test(upper) ? parseQuant('4bit', true) : null
  return ggufMix(gguf[1] as string)
}

function ggufMix(found: string): QuantMix | null {
  let name = found.replace(/^Q(\d)0$/, 'Q$1_0')
  if (name === 'Q8_0' || name === 'Q8_K_XL')
    return mix(name, 'int8', name === 'Q8_0' ? Q8_0 : 8.9, { source: 'block size of the format' })
  if (name === 'Q4_0') return mix('Q4_0', 'legacy4', 4.5, { headBpw: Q6_K })
  if (name.endsWith('_K_XL')) name = name === 'Q2_K_XL' ? 'Q2_K' : name.replace('_K_XL', '_K_M')
  if (name === 'Q6_K_M') name = 'Q6_K'
  if (/^Q[345]_K$/.test(name)) name = `${name}_M`
  if (name === 'Q3_K_XS') name = 'Q3_K_S'
  const file = quantById(`FILE_${name}`)
  if (file) return fromFileMix(found, file, classOfGguf(name))
  const tensor = quantById(name)
  return tensor ? mix(found, classOfGguf(name), tensor.bpw, { headBpw: Math.max(tensor.bpw, Q6_K) }) : null
}

export interface WeightBytes {
  /** All weights, resident. */
  total: number
  /** Routed experts, all of them. */
  experts: number
  /** Looked-up tables: resident, hardly read. */
  lookup: number
  /** Read once per decode step whatever the batch: everything but experts and lookups. */
  dense: number
  head: number
  how: 'header' | 'file size' | 'bits per weight'
}

/**
 * Bytes of each group of weights. A stated file size wins over the sum of bits: the groups are scaled to it.
 * @param fileBytes exact or published size of the weights in bytes; null when not known
 */
export function weightBytes(model: ModelSpec, quant: QuantMix, fileBytes: number | null): WeightBytes {
  const expertBpw =
    model.nativeExpertBpw !== null && quant.expertBpw > model.nativeExpertBpw
      ? model.nativeExpertBpw
      : quant.expertBpw
  const routed = model.moe?.routedParams ?? 0
  let experts = (routed * expertBpw) / 8
  let lookup = (model.lookupParams * quant.tableBpw) / 8
  let head = (model.headParams * quant.headBpw) / 8
  const trunk = Math.max(0, model.paramsTotal - routed - model.lookupParams - model.headParams)
  let dense = (trunk * quant.bpw) / 8 + head
  const sum = experts + lookup + dense
  if (fileBytes !== null && fileBytes > 0) {
    const scale = fileBytes / sum
    experts *= scale
    lookup *= scale
    dense *= scale
    head *= scale
    return { total: fileBytes, experts, lookup, dense, head, how: 'file size' }
  }
  return { total: sum, experts, lookup, dense, head, how: 'bits per weight' }
}
