import { prices as priceFacts } from '../facts/index.ts'
import { copiesPerModel, largestModel } from './largest-model.ts'
import type { Machine } from './machines.ts'
import { type Placement, pipelinePlacement, soloPlacement, tensorPlacement } from './placements.ts'
import type { PlanRequest } from './request.ts'
import { longestContext } from './scenarios.ts'

/**
 * Single machine against pool, as a matrix a buyer can read: memory, largest model, speed per link, context, cost,
 * failure, effort, maturity; then a recommendation by stated criteria with its confidence and what is not known.
 */

export interface Option {
  name: string
  kind: 'single' | 'pool'
  machines: number
  memoryGb: number
  usableGb: number
  largestDenseB: number
  /** Speed of the asked model per link (one entry, "local", for a single machine); null where it does not fit. */
  speeds: {
    link: string
    strategy: string
    decodeTokS: number | null
    low: number | null
    high: number | null
    ttftS: number | null
  }[]
  longestContext: number
  copies: number
  costUsd: number | null
  usdPerGb: number | null
  usdPerTokS: number | null
  costNote: string
  whenAMachineFails: string
  effort: string
  maturity: string
}

export interface Comparison {
  model: string
  quant: string
  contextTokens: number
  options: Option[]
  criteria: { name: string; met: boolean | null; detail: string }[]
  verdict: 'pool' | 'single' | 'either' | 'neither'
  because: string
  confidence: 'high' | 'medium' | 'low'
  unknowns: string[]
}

/** Pool while it costs less than this share of speed; stay single above the other. */
const POOL_UNDER = 0.2
const SINGLE_OVER = 0.5

export interface Priced {
  usd: number
  note: string
}

/** The price of a machine: given by hand, else the dated default. */
export function priceOf(machine: Machine, given: Readonly<Record<string, number>> = {}): Priced | null {
  const name = machine.id.replace(/ #\d+$/, '')
  const byHand = given[name] ?? given[machine.hardware.chip.id]
  if (byHand !== undefined) return { usd: byHand, note: 'given by hand' }
  const fact = priceFacts.find((price) => price.id === name)
  return fact ? { usd: fact.usd, note: `${fact.asOf}, ${fact.source}` } : null
}

const usd = (id: string) => priceFacts.find((price) => price.id === id)?.usd ?? 0

function costOf(
  machines: readonly Machine[],
  link: string,
  given: Readonly<Record<string, number>>,
): Priced | null {
  const each = machines.map((machine) => priceOf(machine, given))
  if (each.some((price) => price === null)) return null
  const n = machines.length
  const mesh = (n * (n - 1)) / 2
  const wires =
    n < 2 ? 0 : /eth|GbE/i.test(link) ? n * usd('cable') + (n > 2 ? usd('switch') : 0) : mesh * usd('cable')
  const total = each.reduce((sum, price) => sum + (price as Priced).usd, 0) + wires
  return {
    usd: total,
    note: `${(each[0] as Priced).note}${wires > 0 ? `; cables and switch ${wires} USD` : ''}`,
  }
}

function bestOver(request: PlanRequest, machines: readonly Machine[]): Placement {
  if (machines.length === 1) return soloPlacement(request, machines[0]!)
  const pipeline = pipelinePlacement(request, machines)
  const tensor = tensorPlacement(request, machines)
  if (!tensor.fits) return pipeline
  if (!pipeline.fits) return tensor
  return tensor.decodeTokS.expected > pipeline.decodeTokS.expected ? tensor : pipeline
}

const round = (value: number, digits = 1): number => Number(value.toFixed(digits))

function optionFor(
  request: PlanRequest,
  machines: readonly Machine[],
  links: readonly PlanRequest['link'][],
  given: Readonly<Record<string, number>>,
): Option {
  const single = machines.length === 1
  const tried = (single ? [null] : links).map((link) => ({
    link,
    placement: bestOver({ ...request, link }, machines),
  }))
  const speeds = tried.map(({ link, placement }) => ({
    link: link?.name ?? 'local',
    strategy: placement.strategy,
    decodeTokS: placement.fits ? round(placement.decodeTokS.expected) : null,
    low: placement.fits ? round(placement.decodeTokS.low) : null,
    high: placement.fits ? round(placement.decodeTokS.high) : null,
    ttftS: placement.fits ? round(placement.ttftS.expected, 2) : null,
  }))
  const best = tried.reduce((a, b) =>
    b.placement.decodeTokS.expected > a.placement.decodeTokS.expected ? b : a,
  )
  const cost = costOf(machines, best.link?.id ?? '', given)
  const memoryGb = machines.reduce((sum, machine) => sum + machine.memoryBytes, 0) / 2 ** 30
  const speed = best.placement.fits ? best.placement.decodeTokS.expected : 0
  const name = machines[0]!.id.replace(/ #\d+$/, '')
  return {
    name: single ? name : `${machines.length}x ${name}`,
    kind: single ? 'single' : 'pool',
    machines: machines.length,
    memoryGb: round(memoryGb, 0),
    usableGb: round(machines.reduce((sum, machine) => sum + machine.usable.limitBytes, 0) / 1e9, 0),
    largestDenseB: round(largestModel(machines, request.quant, request.contextTokens), 0),
    speeds,
    longestContext: longestContext(
      { ...request, link: best.link },
      machines,
      request.model.maxContext ?? 1_048_576,
    ),
    copies: single
      ? copiesPerModel(machines[0]!, request)
      : machines.reduce((sum, machine) => sum + copiesPerModel(machine, request), 0),
    costUsd: cost?.usd ?? null,
    usdPerGb: cost ? round(cost.usd / memoryGb) : null,
    usdPerTokS: cost && speed > 0 ? round(cost.usd / speed) : null,
    costNote: cost?.note ?? 'no price known: give one with --price NAME=USD',
    whenAMachineFails: single
      ? 'everything stops until it is back'
      : 'the pooled model stops and is rebuilt on what is left if it still fits; smaller models go on elsewhere',
    effort: single
      ? 'none'
      : machines.length === 2
        ? 'one cable, one pool command'
        : 'a mesh or a switch, equal system versions, a pool command',
    maturity: single
      ? 'high: the ordinary way to run an engine'
      : best.link?.transport === 'rdma'
        ? 'low: recent systems only, crashes are still reported'
        : 'medium: works, engine wires have no authentication of their own',
  }
}

/** @param links what the pool may be wired with; @param given prices in USD by machine name or chip */
export function compare(
  request: PlanRequest,
  single: Machine,
  pool: readonly Machine[],
  links: readonly PlanRequest['link'][],
  given: Readonly<Record<string, number>> = {},
): Comparison {
  const options = [optionFor(request, [single], [null], given), optionFor(request, pool, links, given)]
  const [one, many] = options as [Option, Option]
  const solo = one.speeds[0]?.decodeTokS ?? null
  const pooled = Math.max(0, ...many.speeds.map((speed) => speed.decodeTokS ?? 0)) || null
  const penalty = solo !== null && pooled !== null ? 1 - pooled / solo : null
  const percent = (share: number) => `${Math.round(share * 100)} %`
  const speedChange = (lost: number) =>
    lost < 0 ? `it gains ${percent(-lost)}` : `it costs ${percent(lost)}`
  const criteria = [
    {
      name: 'the model fits one machine',
      met: solo !== null,
      detail: solo === null ? 'it does not' : `${solo} tok/s`,
    },
    {
      name: 'the model fits the pool',
      met: pooled !== null,
      detail: pooled === null ? 'it does not' : `${pooled} tok/s at best`,
    },
    {
      name: `the pool costs under ${percent(POOL_UNDER)} of the speed`,
      met: penalty === null ? null : penalty < POOL_UNDER,
      detail: penalty === null ? 'not comparable' : speedChange(penalty),
    },
    {
      name: `the pool costs over ${percent(SINGLE_OVER)} of the speed`,
      met: penalty === null ? null : penalty > SINGLE_OVER,
      detail:
        penalty === null
          ? 'not comparable'
          : penalty > SINGLE_OVER
            ? 'stay with one machine'
            : speedChange(penalty),
    },
  ]
  const { verdict, because } = judge(solo, pooled, penalty)
  const doubts = new Set([...request.doubts, ...single.doubts, ...pool.flatMap((machine) => machine.doubts)])
  for (const option of options) if (option.costUsd === null) doubts.add(`the price of ${option.name}`)
  for (const link of links) if (link?.unverified) doubts.add(`latency of ${link.name}`)
  return {
    model: request.model.id,
    quant: request.quant.id,
    contextTokens: request.contextTokens,
    options,
    criteria,
    verdict,
    because,
    confidence:
      solo === null || pooled === null
        ? 'high'
        : Math.abs((penalty ?? 0) - POOL_UNDER) < 0.15
          ? 'low'
          : doubts.size > 3
            ? 'medium'
            : 'high',
    unknowns: [...doubts],
  }
}

function judge(
  solo: number | null,
  pooled: number | null,
  penalty: number | null,
): Pick<Comparison, 'verdict' | 'because'> {
  if (solo === null && pooled === null)
    return { verdict: 'neither', because: 'the model fits neither: a smaller quant or more memory is needed' }
  if (solo === null) return { verdict: 'pool', because: 'the model fits no other way' }
  if (pooled === null) return { verdict: 'single', because: 'the pool cannot hold or cut the model' }
  const lost = penalty as number
  if (lost > SINGLE_OVER)
    return { verdict: 'single', because: `the pool would cost ${Math.round(lost * 100)} % of the speed` }
  if (lost < POOL_UNDER)
    return {
      verdict: 'pool',
      because:
        lost < 0
          ? `the pool is ${Math.round(-lost * 100)} % faster and holds larger models`
          : `the pool costs ${Math.round(lost * 100)} % of the speed and holds larger models`,
    }
  return {
    verdict: 'either',
    because: `the pool costs ${Math.round(lost * 100)} % of the speed: worth it only for models that one machine cannot hold`,
  }
}
