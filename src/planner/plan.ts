import { type Constants, constants as shipped } from './constants.ts'
import { kindOf, type Machine } from './machines.ts'
import { type Placement, pipelinePlacement, soloPlacement, tensorPlacement } from './placements.ts'
import type { PlanRequest } from './request.ts'

/** The plan: every sensible placement of one request on some machines, the one to take, and what is not known. */
export interface Plan {
  model: {
    id: string
    paramsTotal: number
    paramsActive: number
    quant: string
    weightsBytes: number
    source: string
  }
  request: { contextTokens: number; promptTokens: number; parallel: number }
  placements: Placement[]
  recommended: string | null
  unknowns: string[]
}

/** A pool must be this much faster than one machine to be worth the cables and the risk, where one machine does. */
const POOL_GAIN = 1.1

function byKind(machines: readonly Machine[]): Machine[][] {
  const groups = new Map<string, Machine[]>()
  for (const machine of machines) {
    const kind = kindOf(machine)
    const group = groups.get(kind)
    if (group) group.push(machine)
    else groups.set(kind, [machine])
  }
  return [...groups.values()]
}

function candidates(request: PlanRequest, machines: readonly Machine[], constants: Constants): Placement[] {
  const groups = byKind(machines)
  const placements = groups.map((group) => soloPlacement(request, group[0]!, constants))
  if (machines.length < 2) return placements
  const pipeline = (members: readonly Machine[]) => {
    const placement = pipelinePlacement(request, members, constants)
    // Left with one member it is no pool, and the solo placement says it already.
    if (placement.machines.length > 1) placements.push(placement)
  }
  pipeline(machines)
  for (const group of groups) {
    for (const ways of [2, 4, 8, 3].filter((n) => n <= group.length)) {
      if (ways === 3 && group.length !== 3) continue
      placements.push(tensorPlacement(request, group.slice(0, ways), constants))
    }
    if (groups.length > 1 && group.length > 1) pipeline(group)
  }
  return placements
}

/** Best first: what fits before what does not, one machine before a pool unless the pool is clearly faster. */
export function recommend(placements: readonly Placement[]): Placement | null {
  const fitting = placements.filter((placement) => placement.fits)
  const fastest = (list: Placement[]) =>
    list.reduce<Placement | null>(
      (best, one) => (best === null || one.decodeTokS.expected > best.decodeTokS.expected ? one : best),
      null,
    )
  const solo = fastest(fitting.filter((placement) => placement.strategy === 'solo'))
  const pool = fastest(fitting.filter((placement) => placement.strategy !== 'solo'))
  if (!solo || !pool) return solo ?? pool
  return pool.decodeTokS.expected >= solo.decodeTokS.expected * POOL_GAIN ? pool : solo
}

export function plan(
  request: PlanRequest,
  machines: readonly Machine[],
  constants: Constants = shipped,
): Plan {
  const { model, quant, weights } = request
  const placements = candidates(request, machines, constants).sort(
    (a, b) => Number(b.fits) - Number(a.fits) || b.decodeTokS.expected - a.decodeTokS.expected,
  )
  const unknowns = new Set(request.doubts)
  for (const machine of machines) for (const doubt of machine.doubts) unknowns.add(doubt)
  if (machines.length > 1 && !request.link) unknowns.add('no link stated: 10 GbE over TCP assumed')
  if (placements.some((placement) => placement.basis === 'modelled' && placement.fits))
    unknowns.add(
      'some of this hardware has never been measured: its family stands in, and the ranges are wider',
    )
  const moe = model.moe
  return {
    model: {
      id: model.id,
      paramsTotal: Math.round(model.paramsTotal),
      paramsActive: Math.round(
        moe ? model.paramsTotal - moe.routedParams * (1 - moe.topK / moe.experts) : model.paramsTotal,
      ),
      quant: quant.id,
      weightsBytes: Math.round(weights.total),
      source: model.source,
    },
    request: {
      contextTokens: request.contextTokens,
      promptTokens: request.promptTokens,
      parallel: request.parallel,
    },
    placements,
    recommended: recommend(placements)?.id ?? null,
    unknowns: [...unknowns],
  }
}

/** A placement without what only the planner needs, for JSON. */
export function placementForJson(placement: Placement): Omit<Placement, 'setup' | 'shares'> {
  const { setup: _setup, shares: _shares, ...rest } = placement
  return rest
}
