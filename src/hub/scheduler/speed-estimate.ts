/**
 * The planner's speeds of a model on a machine, as coefficients that a choice can evaluate in nanoseconds. Made outside
 * the hot path, once per kind of machine and edition; until it is there, the size of the file stands in.
 */

import { defaultBackend } from '../../planner/engine-name.ts'
import {
  type Basis,
  decodeSpeed,
  machineFromProfile,
  memberOf,
  parseEngine,
  parseQuant,
  prefillSpeed,
  resolveModel,
  type Setup,
  weightBytes,
} from '../../planner/index.ts'
import type { MachineProfile } from '../../protocol/machine.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { Edition } from '../catalogue/edition.ts'

export interface SpeedEstimate {
  /** Seconds to read n tokens after `start` cached ones: prefill0 · n + prefill1 · n · (start + n / 2). */
  prefill0: number
  prefill1: number
  /** Seconds per token with `depth` tokens before it: decode0 + decode1 · depth. */
  decode0: number
  decode1: number
  /** Each further answer at once makes a token take so much longer, as a share. */
  crowding: number
  basis: Basis
  /** Whether the planner knew the model, or its size alone had to do. */
  shape: 'known' | 'guessed'
}

/** Of a machine nobody has described: memory as in an ordinary desktop of today. */
const guessBytesPerS = 80e9
const guessBytesPerParameter = 0.6
const ofAnyModel = { crowding: 0.25, basis: 'modelled', shape: 'guessed' } as const
const shallow = 512
const deep = 8_192

/** From the size alone. */
export function guessSpeed(model: NodeModel): SpeedEstimate {
  const bytes = model.sizeBytes > 0 ? model.sizeBytes : (model.paramsTotal ?? 4e9) * guessBytesPerParameter
  const decode0 = Math.max(1 / 300, bytes / guessBytesPerS)
  return { prefill0: decode0 / 12, prefill1: 0, decode0, decode1: 0, ...ofAnyModel }
}

/** Null when neither name nor header tell enough for the planner. */
export function estimateSpeed(
  profile: MachineProfile,
  model: NodeModel,
  { identity }: Edition,
  engineName: string,
): SpeedEstimate | null {
  const params = model.paramsTotal === null ? null : model.paramsTotal / 1e9
  const resolved = resolveModel(identity.canonical, params)
  if (resolved === null || model.demo) return null
  const { spec } = resolved
  const engine = parseEngine(engineName)
  const isMlx = engine.family === 'mlx'
  const quant = parseQuant(identity.quant?.label ?? model.quant ?? (isMlx ? '4bit' : 'Q4_K_M'), isMlx)
  if (quant === null) return null
  const machine = machineFromProfile(profile)
  const { chip } = machine.hardware
  const setup: Setup = {
    model: spec,
    quant,
    weights: weightBytes(spec, quant, model.sizeBytes > 0 ? model.sizeBytes : null),
    engine,
    backend: defaultBackend(engine, chip.vendor, chip.kind),
    members: [memberOf(machine)],
    strategy: 'solo',
    link: null,
    batch: 1,
    depth: shallow,
    contextTokens: deep,
    promptTokens: shallow,
    promptStart: 0,
    flash: true,
    year: null,
    kvBits: 16,
    ubatch: engine.family === 'llama.cpp' ? 512 : 2048,
    draft: null,
  }
  return coefficients(setup, resolved.how === 'stated size' ? 'guessed' : 'known')
}

/** Two points of each curve: both are near enough to what these two terms can say. */
function coefficients(setup: Setup, shape: SpeedEstimate['shape']): SpeedEstimate | null {
  const near = decodeSpeed(setup)
  const far = decodeSpeed({ ...setup, depth: deep }).seconds
  const crowd = decodeSpeed({ ...setup, batch: 4 }).seconds
  const short = prefillSpeed(setup).seconds / shallow
  const long = prefillSpeed({ ...setup, promptTokens: deep }).seconds / deep
  const decode1 = Math.max(0, (far - near.seconds) / (deep - shallow))
  const prefill1 = Math.max(0, (2 * (long - short)) / (deep - shallow))
  const estimate = {
    prefill1,
    prefill0: Math.max(0, short - (prefill1 * shallow) / 2),
    decode1,
    decode0: Math.max(0, near.seconds - decode1 * shallow),
    crowding: Math.min(1, Math.max(0.02, (crowd / near.seconds - 1) / 3)),
    basis: near.basis,
    shape,
  }
  const isSane = [estimate.prefill0, estimate.decode0].every((value) => value > 0 && Number.isFinite(value))
  return isSane ? estimate : null
}

/** Machines that are the same to the planner. */
export function hardwareKey(profile: MachineProfile): string {
  const { chipId, chip, gpus, bandwidth, memory } = profile
  const cards = gpus.map(({ name, cores, memoryBytes }) => `${name}/${cores}/${memoryBytes}`).join('+')
  const measured = Math.max(0, ...bandwidth.map((run) => run.readBytesS))
  const clock = bandwidth.at(-1)?.clockHz ?? 0
  return `${chipId ?? chip}|${cards}|${memory.totalBytes}|${memory.usableBytes}|${measured}|${clock}`
}

const maxKept = 10_000

/** Keeps what was worked out, and works out the rest when nobody waits. */
export class SpeedEstimates {
  private readonly kept = new Map<string, SpeedEstimate | null>()
  private readonly wanted = new Map<string, () => SpeedEstimate | null>()
  private readonly later: (work: () => void) => void

  /** @param later does some work soon, but not now */
  constructor(later: (work: () => void) => void) {
    this.later = later
  }

  /** Undefined while it is being worked out; null when the planner cannot say. */
  find(
    profile: MachineProfile,
    model: NodeModel,
    edition: Edition,
    engine: string,
  ): SpeedEstimate | null | undefined {
    const key = `${hardwareKey(profile)}|${engine}|${model.sizeBytes}|${edition.key}`
    const known = this.kept.get(key)
    if (known !== undefined || this.kept.has(key)) return known
    if (this.wanted.size === 0) this.later(() => this.work())
    this.wanted.set(key, () => estimateSpeed(profile, model, edition, engine))
    return undefined
  }

  /** A few at a time: the hub answers meanwhile. */
  private work(): void {
    let left = 8
    for (const [key, make] of this.wanted) {
      if (left-- === 0) break
      this.wanted.delete(key)
      if (this.kept.size >= maxKept) this.kept.clear()
      this.kept.set(key, attempt(make))
    }
    if (this.wanted.size > 0) this.later(() => this.work())
  }
}

/** A node may describe hardware that makes no sense: that costs its estimate and nothing else. */
function attempt(make: () => SpeedEstimate | null): SpeedEstimate | null {
  try {
    return make()
  } catch {
    return null
  }
}
