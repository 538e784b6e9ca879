import { HolonError } from '../core/errors.ts'
import { chips } from '../facts/index.ts'
import { kvBytesAllotted } from './kv-cache.ts'
import { copiesPerModel } from './largest-model.ts'
import { type Machine, parseMachines } from './machines.ts'
import { type Placement, soloPlacement } from './placements.ts'
import { plan, recommend } from './plan.ts'
import { type PlanRequest, readRequest } from './request.ts'

/** Questions over more than one request: many models at once, other services in memory, growing contexts, what to buy. */

export interface Tenant {
  /** A model by name with its quant, or a service that only takes memory. */
  model?: string
  quant?: string
  contextTokens?: number
  count?: number
  service?: string
  memoryBytes?: number
}

export interface MixReport {
  machine: string
  limitBytes: number
  usedBytes: number
  fits: boolean
  parts: { name: string; count: number; bytesEach: number; decodeTokSAlone: number | null }[]
  because: string
}

/** Several models and services in the memory of one machine. Each model keeps its own cache and buffers. */
export function mixOn(machine: Machine, tenants: readonly Tenant[]): MixReport {
  const parts = tenants.map((tenant) => {
    const count = tenant.count ?? 1
    if (!tenant.model)
      return {
        name: tenant.service ?? 'service',
        count,
        bytesEach: tenant.memoryBytes ?? 0,
        decodeTokSAlone: null,
      }
    const request = readRequest({
      model: tenant.model,
      quant: tenant.quant,
      contextTokens: tenant.contextTokens ?? 4096,
    })
    const placement = soloPlacement(request, machine)
    const bytesEach = placement.memory[0]!.totalBytes
    return {
      name: `${request.model.id} ${request.quant.id}`,
      count,
      bytesEach,
      decodeTokSAlone: placement.fits ? placement.decodeTokS.expected : null,
    }
  })
  const usedBytes = parts.reduce((sum, part) => sum + part.count * part.bytesEach, 0)
  const limitBytes = machine.usable.limitBytes
  const fits = usedBytes <= limitBytes
  return {
    machine: machine.id,
    limitBytes,
    usedBytes,
    fits,
    parts,
    because: fits
      ? `${(usedBytes / 1e9).toFixed(1)} of ${(limitBytes / 1e9).toFixed(1)} GB are used; models that answer at the same time share the bandwidth`
      : `${(usedBytes / 1e9).toFixed(1)} GB are needed and ${(limitBytes / 1e9).toFixed(1)} GB are there`,
  }
}

/** How many copies of one model a machine holds at once. */
export function copiesThatFit(machine: Machine, model: string, quant: string, contextTokens = 4096): number {
  const request = readRequest({ model, quant, contextTokens })
  return copiesPerModel(machine, request)
}

export interface ContextStep {
  contextTokens: number
  kvBytes: number
  fits: boolean
  decodeTokS: number | null
  ttftS: number | null
}

/** The same placement with the context filled to each length, up to a million tokens. */
export function contextSweep(
  request: PlanRequest,
  machines: readonly Machine[],
  lengths = [4096, 16_384, 32_768, 65_536, 131_072, 262_144, 524_288, 1_048_576],
): ContextStep[] {
  return lengths.map((contextTokens) => {
    const filled: PlanRequest = { ...request, contextTokens, promptTokens: contextTokens }
    const best = recommend(plan(filled, machines).placements)
    return {
      contextTokens,
      kvBytes: kvBytesAllotted(request.model, contextTokens, request.kvBits, request.parallel),
      fits: best !== null,
      decodeTokS: best?.decodeTokS.expected ?? null,
      ttftS: best?.ttftS.expected ?? null,
    }
  })
}

/** Longest context that still fits, in tokens; 0 when the weights alone do not. Bisects, since memory grows with it. */
export function longestContext(
  request: PlanRequest,
  machines: readonly Machine[],
  most = 16_777_216,
): number {
  const fits = (contextTokens: number) =>
    recommend(
      plan({ ...request, contextTokens, promptTokens: Math.min(512, contextTokens) }, machines).placements,
    ) !== null
  if (!fits(1)) return 0
  let low = 1
  let high = 1
  while (high < most && fits(Math.min(most, high * 2))) {
    high = Math.min(most, high * 2)
    low = high
  }
  high = Math.min(most, high * 2)
  while (high - low > Math.max(1, low / 100)) {
    const middle = (low + high) >> 1
    if (fits(middle)) low = middle
    else high = middle
  }
  return low
}

export interface Offer {
  machines: string
  count: number
  placement: Placement
  memoryGb: number
}

/**
 * Smallest machine or pool that runs a model at a wanted speed, by total memory; up to `mostMachines` equal ones.
 * @throws HolonError invalid_parameter when the speed asked for is not a positive number
 */
export function smallestFor(
  request: PlanRequest,
  leastTokS: number,
  mostMachines = 4,
  kinds: readonly string[] = currentMachines(),
): Offer[] {
  if (!(leastTokS > 0 && Number.isFinite(leastTokS)))
    throw new HolonError(
      'invalid_parameter',
      `The wanted speed is ${leastTokS}; it must be above 0 tokens per second.`,
      { param: 'speed' },
    )
  const offers: Offer[] = []
  for (const kind of kinds) {
    for (let count = 1; count <= mostMachines; count++) {
      const machines = parseMachines(`${count}x ${kind}`)
      const best = recommend(plan(request, machines).placements)
      if (!best || best.decodeTokS.expected < leastTokS) continue
      offers.push({
        machines: kind,
        count,
        placement: best,
        memoryGb: (count * machines[0]!.memoryBytes) / 2 ** 30,
      })
      break
    }
  }
  return offers.sort(
    (a, b) =>
      a.memoryGb - b.memoryGb ||
      a.count - b.count ||
      b.placement.decodeTokS.expected - a.placement.decodeTokS.expected,
  )
}

/** Machines one can still buy, one entry per memory size. */
export function currentMachines(): string[] {
  const families = /apple-m[45]|apple-m3$|nvidia-(ada|blackwell|gb10)|amd-rdna3\.5/
  return chips
    .filter(
      (chip) =>
        families.test(chip.family) &&
        !/l4|rtx-[2456]000-ada|b200|thor/.test(chip.id) &&
        (chip.family !== 'apple-m3' || chip.tier === 'ultra'),
    )
    .flatMap((chip) => (chip.memory_options_gb ?? []).map((gb) => `${chip.id}:${gb}gb`))
}
