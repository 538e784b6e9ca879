import { HolonError } from '../core/errors.ts'
import { linkById, models, nearest, quants } from '../facts/index.ts'
import { defaultBackend, type Engine, parseEngine } from './engine-name.ts'
import { type LinkSpec, linkNamesNear, parseLink } from './link-name.ts'
import { type Machine, memberOf } from './machines.ts'
import { resolveModel } from './model-name.ts'
import type { ModelSpec } from './model-spec.ts'
import { parseModelName } from './names/parse-model-name.ts'
import { parseQuant, type QuantMix, type WeightBytes, weightBytes } from './quant-mix.ts'
import type { Setup } from './speed/setup.ts'
import { isStatedLink, isStatedQuant, isStatedSize } from './stated-names.ts'

/** What is asked for, checked: a model with its weights, how it is used, and over which link. */
export interface PlanRequest {
  model: ModelSpec
  quant: QuantMix
  weights: WeightBytes
  contextTokens: number
  promptTokens: number
  parallel: number
  /** Bits per element of the KV cache: 16, 8.5 (q8_0) or 4.5 (q4_0). */
  kvBits: number
  link: LinkSpec | null
  /** Null lets the planner choose per placement. */
  engine: Engine | null
  doubts: string[]
}

export interface RequestText {
  model: string
  quant?: string
  contextTokens?: number
  promptTokens?: number
  parallel?: number
  kv?: string
  link?: string
  engine?: string
}

function whole(name: string, value: number | undefined, fallback: number, most: number): number {
  const given = value ?? fallback
  if (!Number.isInteger(given) || given < 1 || given > most)
    throw new HolonError(
      'invalid_parameter',
      `${name} is ${given}; it must be a whole number from 1 to ${most}.`,
      { param: name },
    )
  return given
}

/** @throws HolonError model_not_found with the nearest names */
export function findModel(name: string): ModelSpec {
  if (!isStatedSize(name))
    throw new HolonError('invalid_parameter', `"${name}" is no size of a model.`, {
      param: 'model',
      hint: 'Write dense:70b, or moe:235b-a22b with the active part, in billions above zero.',
    })
  const found = resolveModel(name)
  if (found)
    return found.how === 'catalogue'
      ? found.spec
      : { ...found.spec, assumed: [...found.spec.assumed, ...describeGuess(name, found.how, found.spec)] }
  const near = nearest(
    name,
    models.map((model) => model.id),
  )
  throw new HolonError('model_not_found', `No model called "${name}" is known, and the name gives no size.`, {
    param: 'model',
    hint: `${near.length > 0 ? `Did you mean ${near.join(', ')}? ` : ''}Or give a size: dense:70b, moe:235b-a22b, or the path of a GGUF file.`,
  })
}

function describeGuess(name: string, how: string, spec: ModelSpec): string[] {
  if (how === 'name' && spec.id !== name) return [`"${name}" is taken as ${spec.id}`]
  return []
}

/** @throws HolonError invalid_parameter with the nearest names */
export function findQuant(text: string, mlx = false): QuantMix {
  const found = isStatedQuant(text) ? parseQuant(text, mlx) : null
  if (found) return found
  const names = quants
    .filter((quant) => quant.kind !== 'kv_cache')
    .map((quant) => quant.id.replace(/^FILE_/, ''))
  throw new HolonError('invalid_parameter', `No quant called "${text}" is known.`, {
    param: 'quant',
    hint: `Nearest: ${nearest(text, [...new Set(names)]).join(', ') || 'Q4_K_M, Q8_0, F16, 4bit, MXFP4'}.`,
  })
}

export const kvBitsOf = (text: string | undefined): number => {
  const known: Record<string, number> = { f16: 16, bf16: 16, q8_0: 8.5, q8: 8.5, q4_0: 4.5, q4: 4.5 }
  const bits = known[(text ?? 'f16').toLowerCase()]
  if (bits === undefined)
    throw new HolonError('invalid_parameter', `No KV cache type called "${text}" is known.`, {
      param: 'kv',
      hint: 'Use f16, q8_0 or q4_0.',
    })
  return bits
}

/** @throws HolonError invalid_parameter with the nearest names */
export function findLink(text: string): LinkSpec {
  const known = linkById(text.trim()) !== undefined || isStatedLink(text)
  const found = known ? parseLink(text) : null
  if (found) return found
  throw new HolonError('invalid_parameter', `No link called "${text}" is known.`, {
    param: 'link',
    hint: `Nearest: ${linkNamesNear(text).join(', ') || 'tb5-rdma, eth-10g, wifi6'}.`,
  })
}

/** @throws HolonError model_not_found, invalid_parameter */
export function readRequest(
  text: RequestText,
  given?: { model: ModelSpec; weights: WeightBytes; quant: QuantMix },
): PlanRequest {
  const model = given?.model ?? findModel(text.model)
  const mlx = /mlx|exo/i.test(text.engine ?? '')
  const named = text.quant || given ? null : quantInName(text.model, mlx)
  const usual = model.nativeExpertBpw !== null ? 'MXFP4' : mlx ? '4bit' : 'Q4_K_M'
  const quant = given?.quant ?? named ?? findQuant(text.quant ?? usual, mlx)
  const link = text.link ? findLink(text.link) : null
  const contextTokens = whole(
    'context',
    text.contextTokens,
    Math.min(8192, model.maxContext ?? 8192),
    16_777_216,
  )
  const doubts = [...model.assumed]
  if (!text.quant && !given && !named) doubts.push(`quant not stated: ${quant.id} assumed`)
  if (quant.unverified) doubts.push(`the size of ${quant.id} is unverified`)
  if (link?.unverified) doubts.push(`latency or bandwidth of ${link.name} is not measured: ${link.source}`)
  if (model.maxContext !== null && contextTokens > model.maxContext)
    doubts.push(
      `${model.id} was trained for ${model.maxContext} tokens; ${contextTokens} need RoPE scaling and may lose quality`,
    )
  return {
    model,
    quant,
    weights: given?.weights ?? weightBytes(model, quant, null),
    contextTokens,
    promptTokens: whole('prompt', text.promptTokens, Math.min(1024, contextTokens), contextTokens),
    parallel: whole('parallel', text.parallel, 1, 4096),
    kvBits: kvBitsOf(text.kv),
    link,
    engine: text.engine ? parseEngine(text.engine) : null,
    doubts: [...new Set(doubts)],
  }
}

/** What a name says of its quant ("mlx-community/Qwen3-235B-A22B-4bit", "qwen3:8b-q8_0"); null when it says nothing. */
function quantInName(name: string, mlx: boolean): QuantMix | null {
  const label = parseModelName(name).quant?.label
  return label === undefined ? null : parseQuant(label, mlx)
}

/** MLX has no K-quants: the affine format of as many bits stands in, with its own size. */
function inMlx(request: PlanRequest): { quant: QuantMix; weights: WeightBytes } {
  const bits: Partial<Record<QuantMix['class'], number>> = {
    k2: 2,
    k3: 3,
    k4: 4,
    legacy4: 4,
    iq: 4,
    k5: 5,
    k6: 6,
  }
  const wanted = bits[request.quant.class]
  const quant = wanted === undefined ? null : parseQuant(`${wanted}bit`, true)
  return quant ? { quant, weights: weightBytes(request.model, quant, null) } : request
}

/** The setup of one placement, as the speed model wants it. Current builds, flash attention on, no drafting. */
export function setupFor(
  request: PlanRequest,
  machines: readonly Machine[],
  strategy: Setup['strategy'],
  engine: Engine,
  link: LinkSpec | null,
): Setup {
  const chip = machines[0]!.hardware.chip
  const native = engine.family === 'mlx' ? inMlx(request) : request
  return {
    model: request.model,
    quant: native.quant,
    weights: native.weights,
    engine,
    backend: defaultBackend(engine, chip.vendor, chip.kind),
    members: machines.map(memberOf),
    strategy,
    link,
    batch: request.parallel,
    depth: request.promptTokens,
    contextTokens: request.contextTokens,
    promptTokens: request.promptTokens,
    promptStart: 0,
    flash: true,
    year: null,
    kvBits: request.kvBits,
    ubatch: engine.family === 'llama.cpp' ? 512 : 2048,
    draft: null,
  }
}
