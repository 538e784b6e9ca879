import type { Machine } from './machines.ts'
import { memoryUse } from './memory.ts'
import { modelOfSize } from './model-name.ts'
import { engineFor } from './placements.ts'
import { type QuantMix, weightBytes } from './quant-mix.ts'
import { type PlanRequest, readRequest, setupFor } from './request.ts'

/** How large a dense model machines hold together, and how often one model fits. */

/** Billions of parameters of the largest dense model that fits at this quant and context, to one percent. */
export function largestModel(machines: readonly Machine[], quant: QuantMix, contextTokens: number): number {
  const room = machines.reduce((sum, machine) => sum + machine.usable.limitBytes, 0)
  const fits = (billions: number): boolean => {
    const model = modelOfSize(`dense:${billions}b`, billions, null)
    const weights = weightBytes(model, quant, null)
    const request = readRequest({ model: 'dense:1b', contextTokens }, { model, weights, quant })
    const setup = setupFor(request, [machines[0]!], 'solo', engineFor(request, [machines[0]!], 'solo'), null)
    const use = memoryUse(setup, 1, 1)
    return use.totalBytes + (machines.length - 1) * (use.computeBytes + use.overheadBytes) <= room
  }
  let low = 0.1
  if (!fits(low)) return 0
  let high = 1
  while (high < 100_000 && fits(high)) {
    low = high
    high *= 2
  }
  while (high / low > 1.01) {
    const middle = Math.sqrt(low * high)
    if (fits(middle)) low = middle
    else high = middle
  }
  return low
}

/** How many times the asked model fits the memory of one machine. */
export function copiesPerModel(machine: Machine, request: PlanRequest): number {
  const setup = setupFor(request, [machine], 'solo', engineFor(request, [machine], 'solo'), null)
  return Math.max(0, Math.floor(machine.usable.limitBytes / memoryUse(setup, 1, 1).totalBytes))
}
