import type { Hardware } from '../chip-name.ts'
import type { Backend, Engine } from '../engine-name.ts'
import type { LinkSpec } from '../link-name.ts'
import type { ModelSpec } from '../model-spec.ts'
import type { Pace } from '../pace.ts'
import type { QuantMix, WeightBytes } from '../quant-mix.ts'

/** One machine as the speed model sees it. */
export interface Member {
  hardware: Hardware
  /** Memory of the machine (unified) or of its GPUs together, bytes; null when nobody said. */
  memoryBytes: number | null
  /** What its own answers said of it; nothing where nobody listened. */
  pace?: Pace | null
}

/** Everything a prediction may look at. What was measured of the case itself is not in it, so it cannot leak into one. */
export interface Setup {
  model: ModelSpec
  quant: QuantMix
  weights: WeightBytes
  engine: Engine
  backend: Backend
  /** One entry for a solo run; all members for a pool. */
  members: readonly Member[]
  strategy: 'solo' | 'pipeline' | 'tensor'
  link: LinkSpec | null
  batch: number
  /** Tokens in the KV cache while decoding, on average over the timed tokens. */
  depth: number
  /** Tokens allotted for the KV cache, for memory. */
  contextTokens: number
  promptTokens: number
  /** Tokens already in the cache when the timed prompt starts. */
  promptStart: number
  /** Flash attention: on, off, or not known (the habit of the build's year then). */
  flash: boolean | null
  /** Decimal year of the engine's build; null when unknown (taken as current). */
  year: number | null
  /** Bits per element of the KV cache. */
  kvBits: number
  /** Tokens handled at once during prefill. */
  ubatch: number
  /** Several tokens per step: a draft model or multi-token heads; null when off. */
  draft: 'mtp' | 'assistant' | null
}

/** Bits of the age of a build that matter: kernels were rewritten in these steps. */
export function era(year: number | null): string {
  if (year === null || year >= 2025.9) return 'era:now'
  if (year >= 2025.0) return 'era:2025'
  return 'era:2024'
}

export const nominalBandwidth = (member: Member): number => member.hardware.chip.memory_bandwidth_gb_s * 1e9
export const nominalFlops = (member: Member): number => member.hardware.chip.matmul_tflops * 1e12

/** Keys that say which chip it is, from vendor to the very chip. */
export function chipKeys(member: Member): string[] {
  const { chip } = member.hardware
  const vendor = chip.kind === 'cpu' ? 'cpu' : chip.vendor
  const tier = `${vendor}/${chip.tier}`
  return [`vendor:${vendor}`, `tier:${tier}`, `family:${chip.family}`, `chip:${chip.id}`]
}
