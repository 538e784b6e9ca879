/**
 * The quant that a name states, and how good it is. Names mix it with everything else ("7b-instruct-q4_K_M",
 * "7B-Instruct-4bit-DWQ"), so this also says what is left of the name without it. What a quant means in bits comes from
 * `parseQuant`, the planner's one reader of quants.
 */
import { parseQuant } from '../quant-mix.ts'

export interface QuantName {
  /** In the usual spelling: `Q4_K_M`, `UD-Q4_K_XL`, `MLX-4BIT`, `AWQ`, `MXFP4`, `BF16`. */
  label: string
  /** Nominal bits of a weight: 4 for every Q4, IQ4, 4bit, AWQ, GPTQ, MXFP4 and NVFP4. This decides "at least Q4". */
  bits: number
  /** Bits per weight, block scales included; orders quants of the same nominal bits. */
  bpw: number
}

const edge = '(?<![A-Za-z0-9])'
const end = '(?![A-Za-z0-9])'
const forms = [
  // ggml: Q4_K_M, IQ4_XS, UD-Q4_K_XL, Q4_0, Q4_0_4_4, Q8; also written Q4-K-M.
  '(?:ud-)?i?q[1-8](?:[_-]?k(?:[_-](?:xxs|xs|s|m|l|xl|xxl))?|[_-](?:nl|xxs|xs|s|m|l|xl|[01](?:[_-][48][_-][48])?))?',
  String.raw`p?tq[12]_0|pq2_0|q\df(?:16|32)(?:_\d)?`,
  String.raw`b?f16|bf16|fp16|f32|fp32|mxfp[48](?:_moe)?|nvfp4|fp8(?:[-_](?:dynamic|block|kv))?|fp4|w\da\d{1,2}|int[48]`,
  String.raw`\d(?:\.\d+)?-?bits?|\d(?:\.\d+)?bpw|g(?:s|roup)?(?:32|64|128)`,
  'awq|gptq|exl2|exl3|hqq|bnb|aqlm|eetq|marlin|autoround|dwq',
]
const pattern = new RegExp(`${edge}(?:${forms.join('|')})${end}`, 'gi')
/** Says how the file was made and nothing of its bits. */
const additions = /^(G(S|ROUP)?(32|64|128)|DWQ|MARLIN|AUTOROUND)$/

function spelled(form: string): string {
  const upper = form
    .toUpperCase()
    .replace(/^FP16$/, 'F16')
    .replace(/^FP32$/, 'F32')
  if (/^(UD-)?I?Q\d/.test(upper)) {
    return upper.replace(/^(UD-)?(.*)$/, (_, ud: string | undefined, rest: string) => {
      return (ud ?? '') + rest.replaceAll('-', '_').replace(/(Q\d)K/, '$1_K')
    })
  }
  return upper.replace(/-?BITS?$/, 'BIT').replace(/_MOE$/, '')
}

/** Nominal bits of one form; null when it names a method whose bits stand elsewhere (EXL2, BNB). */
function bitsOf(form: string): number | null {
  const stated = /^(?:UD-)?I?Q(\d)|^P?TQ(\d)|^PQ(\d)|^(\d(?:\.\d+)?)(?:BIT|BPW)$|^W(\d)A/.exec(form)
  const digits = stated?.slice(1).find((group) => group !== undefined)
  if (digits !== undefined) return Math.floor(Number(digits))
  if (/^F32$/.test(form)) return 32
  if (/F16$/.test(form)) return 16
  if (/^(FP8|MXFP8|INT8)/.test(form)) return 8
  if (/^(MXFP4|NVFP4|FP4|INT4)/.test(form)) return 4
  return null
}

/** `AWQ` and `GPTQ` without a number are 4 bits, as everybody who leaves it out means; of two numbers the lower counts. */
function toQuant(found: readonly string[], mlx: boolean): QuantName | null {
  const named = found.filter((form) => !additions.test(form))
  if (named.length === 0) return null
  const numbers = named.map(bitsOf).filter((bits) => bits !== null)
  const method = named.some((form) => /^(AWQ|GPTQ|BNB|AQLM|HQQ|EETQ)$/.test(form))
  if (numbers.length === 0 && !method) return null
  const bits = numbers.length > 0 ? Math.min(...numbers) : 4
  const prefix = mlx && /^(\d+BIT|MXFP|NVFP)/.test(found[0]!) ? 'MLX-' : ''
  const label = prefix + found.join('-')
  const mix = parseQuant(label.replace('MLX-', ''), mlx)
  const bpw = mix === null ? bits + 0.5 : Math.min(mix.bpw, mix.expertBpw)
  // The nominal bits order first: a figure outside of them would be of another quant.
  return { label, bits, bpw: Math.min(bits + 1.99, Math.max(bits, bpw)) }
}

export interface Unquantised {
  quant: QuantName | null
  /** The name without the quant, with a `-` in its place. */
  rest: string
}

/** @param mlx a bare "4bit" means MLX's affine groups */
export function splitQuant(name: string, mlx = false): Unquantised {
  const found: string[] = []
  const rest = name.replace(pattern, (form) => {
    found.push(spelled(form))
    return '-'
  })
  return { quant: toQuant([...new Set(found)], mlx), rest }
}

/** A quant alone, as a header, Ollama's `quantization_level` or a caller states it; null when it is none. */
export function readQuant(text: string, mlx = false): QuantName | null {
  const { quant, rest } = splitQuant(text.trim(), mlx)
  return /[A-Za-z0-9]/.test(rest.replace(/mlx|gguf|ud/gi, '')) ? null : quant
}

export interface QualityFloor {
  bits: number
  /** 0 when any quant of these nominal bits will do. */
  bpw: number
  text: string
}

/** "q4", "4", "Q4_K_M", "8bit", "bf16" as the least that will do; null when it is none of these. */
export function readFloor(text: string): QualityFloor | null {
  const asked = text.trim()
  const plain = /^q?(\d{1,2})(?:-?bits?)?$/i.exec(asked)
  if (plain) return { bits: Number(plain[1]), bpw: 0, text: asked.toUpperCase() }
  const quant = readQuant(asked)
  if (quant === null) return null
  const exact = /_K_|_[01]|_XS|_NL|_S$|_M$|_L$/.test(quant.label)
  return { bits: quant.bits, bpw: exact ? quant.bpw : 0, text: quant.label }
}

/** An unknown quant is never known to be good enough. */
export function meetsFloor(quant: QuantName | null, floor: QualityFloor): boolean {
  if (quant === null) return false
  return quant.bits > floor.bits || (quant.bits === floor.bits && quant.bpw >= floor.bpw - 1e-9)
}

/** Below zero when `a` is the better. Unknown quants come last. */
export function betterQuant(a: QuantName | null, b: QuantName | null): number {
  if (a === null || b === null) return (a === null ? 1 : 0) - (b === null ? 1 : 0)
  return b.bits - a.bits || b.bpw - a.bpw
}
