import { expertShareTouched } from '../model-spec.ts'
import { atPace } from '../pace.ts'
import { commonKeys, eraKeys, flashKey, type KeyLists, keyLists, vendorOf } from './keys.ts'
import { type Member, nominalBandwidth, nominalFlops, type Setup } from './setup.ts'
import type { Term } from './terms.ts'

/**
 * Prefill: arithmetic of all prompt tokens through the weights, attention over what is cached, every weight read
 * once per chunk (a chunk of a mixture touches nearly all experts), and a fixed cost per layer and chunk.
 * Terms are seconds for the whole prompt.
 */

const UNIT_LAYER_S = 100e-6

/** Rows of a matrix tile: an expert that gets fewer tokens of the chunk still costs a whole tile. */
const TILE_TOKENS = 32

/** Weights every prompt token is multiplied with: no experts, and the head only serves the last token. */
function denseParams(setup: Setup): number {
  const { model } = setup
  const routed = model.moe?.routedParams ?? 0
  return Math.max(1, model.paramsTotal - model.lookupParams - model.headParams - routed)
}

/** Weights of the chosen experts, per token. */
function expertParams(setup: Setup): number {
  const { moe } = setup.model
  return moe ? (moe.routedParams * moe.topK) / moe.experts : 0
}

/** (query, cached) pairs of a prompt of `n` tokens that starts at `start`; `window` 0 means no limit. */
export function attentionPairs(n: number, start: number, window: number): number {
  if (window <= 0) return n * start + (n * n) / 2
  const reach = Math.min(window, start + n / 2)
  return n * reach
}

export function chunkTokens(setup: Setup): number {
  return Math.max(1, Math.min(setup.promptTokens * setup.batch, setup.ubatch))
}

function prefillKeys(setup: Setup, member: Member): KeyLists {
  const { model, quant, backend, engine } = setup
  const vendor = `vendor:${vendorOf(member)}`
  const family = `family:${member.hardware.chip.family}`
  const quantKey = `quant:${quant.class}`
  const flash = flashKey(setup)
  const compute = [
    ...commonKeys(setup, member).filter((key) => key !== 'moe'),
    ...eraKeys(setup),
    quantKey,
    `${quantKey}/${vendorOf(member)}`,
    `${quantKey}/${member.hardware.chip.family}`,
    ...gpuKeys(member, setup),
  ]
  return {
    compute,
    experts: [...compute],
    tiles: [vendor, `backend:${backend}`, `engine:${engine.family}`, family],
    attention: [
      vendor,
      family,
      `backend:${backend}`,
      `engine:${engine.family}`,
      flash,
      `${flash}/${backend}`,
      ...(engine.flavour ? [`${flash}/${engine.flavour}`] : []),
      `kv:${model.kv.kind}`,
    ],
    weights: [vendor, `backend:${backend}`, family, ...(model.moe ? ['moe', `moe/${backend}`] : [])],
    layers: [
      vendor,
      `backend:${backend}`,
      `engine:${engine.family}`,
      ...(model.moe ? ['moe'] : []),
      ...(model.kv.kind === 'hybrid' ? ['hybrid'] : []),
      ...(member.hardware.smallHost ? ['host:small'] : []),
      family,
    ],
  }
}

export function memberPrefillTerms(
  setup: Setup,
  member: Member,
  layerShare: number,
  tensorWays: number,
): Term[] {
  const { model, weights } = setup
  const flops = nominalFlops(member)
  const n = setup.promptTokens * setup.batch
  const chunk = chunkTokens(setup)
  const chunks = n / chunk
  const cut = layerShare / tensorWays
  const pairs = attentionPairs(setup.promptTokens, setup.promptStart, 0) * setup.batch
  const windowPairs = attentionPairs(setup.promptTokens, setup.promptStart, model.kv.window) * setup.batch
  const attention =
    model.kv.fullFlopsPerPair * pairs + (model.kv.window > 0 ? model.kv.windowFlopsPerPair * windowPairs : 0)
  const experts = model.moe ? weights.experts * expertShareTouched(model.moe, chunk) : 0
  const moe = model.moe
  const tokensPerExpert = moe ? Math.max(1, (chunk * moe.topK) / moe.experts) : 1
  const gpuOverlap = overlapOfGpus(member, setup, chunks)
  const perFlop = ((2 * n * cut) / flops) * gpuOverlap
  const keys = keyLists(setup, member, 'prefill', () => prefillKeys(setup, member))
  const terms: Term[] = [
    {
      name: 'prefill.compute',
      seconds: denseParams(setup) * perFlop,
      keys: keys.compute!,
      counted: 'operations of the prompt over the nominal rate',
    },
    {
      name: 'prefill.experts',
      seconds: expertParams(setup) * perFlop,
      keys: keys.experts!,
      counted: 'operations of the chosen experts over the nominal rate',
    },
    {
      name: 'prefill.tiles',
      seconds: expertParams(setup) * perFlop * (TILE_TOKENS / tokensPerExpert),
      keys: keys.tiles!,
      counted: 'tiles of experts that few tokens of the chunk chose',
    },
    {
      name: 'prefill.attention',
      seconds: ((attention * cut) / flops) * gpuOverlap,
      keys: keys.attention!,
      counted: 'operations of attention over the nominal rate',
    },
    {
      name: 'prefill.weights',
      seconds:
        (((weights.dense - weights.head + experts) * chunks * cut) / nominalBandwidth(member)) * gpuOverlap,
      keys: keys.weights!,
      counted: 'bytes of weights read once per chunk over nominal bandwidth',
    },
    {
      name: 'prefill.layers',
      seconds: model.layers * layerShare * chunks * UNIT_LAYER_S * gpuOverlap,
      keys: keys.layers!,
      counted: 'layers and chunks at 0.1 ms each',
    },
  ]
  return atPace(terms, member.pace?.prefill)
}

/** How well cards of one host overlap depends on the quant and on how many layers there are to hand on. */
function gpuKeys(member: Member, setup: Setup): string[] {
  const { count } = member.hardware
  if (count <= 1) return []
  const deep = setup.model.layers > 48 ? 'deep' : 'shallow'
  return [`gpus:${count}`, `gpus:${setup.quant.class}/${deep}`]
}

/** GPUs of one host that hold layers in turn work on different chunks at once: (chunks + G - 1) / (chunks x G). */
function overlapOfGpus(member: Member, setup: Setup, chunks: number): number {
  const gpus = member.hardware.count
  if (gpus <= 1 || setup.engine.family !== 'llama.cpp') return 1
  return (chunks + gpus - 1) / (chunks * gpus)
}
