import { kvBytesRead, kvBytesStored } from '../kv-cache.ts'
import { expertShareTouched } from '../model-spec.ts'
import { atPace } from '../pace.ts'
import { commonKeys, eraKeys, flashKey, type KeyLists, keyLists, vendorOf } from './keys.ts'
import { type Member, nominalBandwidth, nominalFlops, type Setup } from './setup.ts'
import type { Term } from './terms.ts'

/**
 * One decode step: weights and KV cache read at some share of the bandwidth (a processor walks the cache at the pace of its
 * cores), arithmetic of unpacking the quant, and a fixed cost per layer (kernel launches, routing, synchronisation) that no
 * bandwidth makes smaller.
 */

const UNIT_LAYER_S = 100e-6
const UNIT_TOKEN_S = 1e-3

/** Weight bytes read for one step of `batch` sequences: dense once, of the experts those that some token chose. */
export function weightBytesPerStep(setup: Setup): number {
  const { weights, model, batch } = setup
  const experts = model.moe ? weights.experts * expertShareTouched(model.moe, batch) : 0
  return weights.dense + experts
}

/** Weights multiplied for one token, for the arithmetic term. */
function paramsMultiplied(setup: Setup): number {
  const { model } = setup
  const routed = model.moe?.routedParams ?? 0
  const chosen = model.moe ? (routed * model.moe.topK) / model.moe.experts : 0
  return model.paramsTotal - model.lookupParams - routed + chosen
}

/** Tokens per step that drafting gives on ordinary text before data says otherwise (published: 1.25 to 2.6). */
const DRAFT_GAIN = 1.5

/** Drafting makes a step give more than one token: its keys scale every term of the step alike. */
const draftKeys = (setup: Setup): string[] => (setup.draft ? [`draft:${setup.draft}`] : [])

/** Main memory of an ordinary PC as a processor reads it, for layers that do not fit the card. */
const HOST_BYTES_PER_S = 60e9
/** Of a card's memory: context of the driver, display and buffers; llama.cpp's own fit keeps 1024 MiB free. */
const CARD_RESERVE_BYTES = 2 ** 30
/** What an ordinary PC of 32 GB keeps of a file in memory; a larger remainder is read anew for every token. */
const HOST_CACHE_BYTES = 24e9
/** An NVMe drive reading a mapped file in order. */
const DRIVE_BYTES_PER_S = 3e9

/** Share of the weights that do not fit a discrete card and stay in main memory; 0 where memory is one. */
export function spillShare(setup: Setup, member: Member, layerShare = 1): number {
  const { chip, count } = member.hardware
  if (chip.tier !== 'discrete' || setup.strategy === 'tensor' || layerShare <= 0) return 0
  if (setup.engine.family !== 'llama.cpp' && setup.engine.family !== 'prima.cpp') return 0
  const options = chip.memory_options_gb ?? []
  // Cards are sold in GiB whatever the label says.
  const stated = member.memoryBytes ?? (options.length > 0 ? Math.max(...options) * 1e9 * count : null)
  if (stated === null) return 0
  const memory = (stated / 1e9) * 2 ** 30
  const cache = kvBytesStored(setup.model, Math.max(setup.contextTokens, 2048), setup.kvBits)
  const weights = setup.weights.total * layerShare
  const need = weights + cache * layerShare
  const room = memory - CARD_RESERVE_BYTES * count
  return Math.min(1, Math.max(0, (need - room) / weights))
}

/** Least-recently-used caching of a scan larger than the cache never hits, so it is all memory or all drive. */
function spillBytesPerS(spilledBytes: number): number {
  return spilledBytes > HOST_CACHE_BYTES ? DRIVE_BYTES_PER_S : HOST_BYTES_PER_S
}

function decodeKeys(setup: Setup, member: Member): KeyLists {
  const { model, quant, backend, engine } = setup
  const common = [...commonKeys(setup, member), ...draftKeys(setup)]
  const eras = eraKeys(setup)
  const vendor = vendorOf(member)
  const { family } = member.hardware.chip
  const flash = flashKey(setup)
  const quantKey = `quant:${quant.class}`
  return {
    weights: [...common, quantKey, `${quantKey}/${vendor}`],
    unpack: [
      `vendor:${vendor}`,
      `family:${family}`,
      `engine:${engine.family}`,
      `backend:${backend}`,
      quantKey,
      `${quantKey}/${backend}`,
      ...eras,
      ...eras.map((age) => `${quantKey}/${age}`),
    ],
    layers: [...common, ...eras, ...(model.moe ? [`moe/${backend}`] : [])],
    kv: [
      ...common.filter((key) => !key.startsWith('wrapper')),
      `kv:${model.kv.kind}`,
      flash,
      `${flash}/${backend}`,
      `${flash}/${family}`,
    ],
    attention: [flash],
    batch: [`vendor:${vendor}`, `engine:${engine.family}`, ...(model.moe ? ['moe'] : [])],
  }
}

/**
 * Operations that a processor could do in the time that llama.cpp's attention takes there for one 16-bit byte of the cache.
 * Cores, not memory, set that pace: 96 and 76 with two models on one core of an EPYC 9005 (by hand, from llama-server's
 * timings with 4 to 2,000 tokens in the cache), 65 and 98 with two on a Ryzen 7950X (the `cpudepth` rows of the
 * calibration). A card reads the cache about as fast as it reads weights.
 */
const CACHE_OPS_PER_BYTE = 80

function cacheTerm(setup: Setup, member: Member, keys: KeyLists, cut: number): Term {
  const { model, depth, batch } = setup
  if (member.hardware.chip.kind === 'cpu' && setup.engine.family === 'llama.cpp')
    return {
      name: 'attention',
      seconds: (kvBytesRead(model, depth) * batch * cut * CACHE_OPS_PER_BYTE) / nominalFlops(member),
      keys: keys.attention!,
      counted: `bytes of KV cache at ${CACHE_OPS_PER_BYTE} operations each over the nominal rate`,
    }
  return {
    name: 'kv',
    seconds: (kvBytesRead(model, depth, setup.kvBits) * batch * cut) / nominalBandwidth(member),
    keys: keys.kv!,
    counted: 'bytes of KV cache read over nominal bandwidth',
  }
}

/** Terms of the part of one step that runs on one member holding `share` of the layers (or of every layer, for tensor). */
export function memberDecodeTerms(
  setup: Setup,
  member: Member,
  layerShare: number,
  tensorWays: number,
): Term[] {
  const { model, batch } = setup
  const bandwidth = nominalBandwidth(member)
  const flops = nominalFlops(member)
  const spilled = spillShare(setup, member, layerShare)
  const gain = setup.draft ? DRAFT_GAIN : 1
  const cut = ((layerShare / tensorWays) * (1 - spilled)) / gain
  const keys = keyLists(setup, member, 'decode', () => decodeKeys(setup, member))
  const terms: Term[] = [
    {
      name: 'weights',
      seconds: (weightBytesPerStep(setup) * cut) / bandwidth,
      keys: keys.weights!,
      counted: 'bytes of weights read over nominal bandwidth',
    },
    {
      name: 'unpack',
      seconds: (2 * paramsMultiplied(setup) * cut) / flops,
      keys: keys.unpack!,
      counted: 'operations to unpack and multiply the weights over the nominal rate',
    },
    {
      name: 'layers',
      seconds: (model.layers * layerShare * UNIT_LAYER_S) / gain,
      keys: keys.layers!,
      counted: 'layers at 0.1 ms each',
    },
    cacheTerm(setup, member, keys, layerShare / Math.min(tensorWays, model.kv.shards)),
    {
      name: 'spill',
      seconds:
        (weightBytesPerStep(setup) * (layerShare / tensorWays) * spilled) /
        spillBytesPerS(setup.weights.total * layerShare * spilled),
      keys: [],
      counted:
        'bytes of weights that do not fit the card, read from main memory at 60 GB/s, or from the drive at 3 GB/s when there are more than 24 GB of them',
    },
    {
      name: 'batch',
      seconds: batch > 1 ? (2 * paramsMultiplied(setup) * (batch - 1) * cut) / flops : 0,
      keys: keys.batch!,
      counted: 'operations of the other sequences over the nominal rate',
    },
  ]
  return atPace(terms, member.pace?.decode)
}

/** distributed-llama multiplies the output head at its root, so that share of the weights is not divided. */
export function rootHeadTerms(setup: Setup, root: Member, ways: number): Term[] {
  if (setup.engine.family !== 'distributed-llama' || ways < 2) return []
  const keys = keyLists(setup, root, 'decode', () => decodeKeys(setup, root))
  return [
    {
      name: 'weights',
      seconds: (setup.weights.head * (1 - 1 / ways)) / nominalBandwidth(root),
      keys: keys.weights!,
      counted: 'bytes of the output head that the root reads alone, over nominal bandwidth',
    },
  ]
}

export function tokenTerm(setup: Setup, member: Member): Term {
  const host = member.hardware.smallHost ? ['host:small'] : []
  return {
    name: 'token',
    seconds: UNIT_TOKEN_S,
    keys: [
      `engine:${setup.engine.family}`,
      `backend:${setup.backend}`,
      ...(setup.engine.wrapper ? [`wrapper:${setup.engine.wrapper}`] : []),
      ...host,
    ],
    counted: 'sampling and hand-over once per token, in ms',
  }
}
