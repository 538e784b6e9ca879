/**
 * A cluster by itself, as the one member stands for it that reaches it: where it would place the model, and what of that
 * can be told from here. Nothing is refused for want of memory: the cluster decides, and what the planner thinks of it is
 * said beside it. Pure.
 */
import { asHolonError } from '../../core/errors.ts'
import { formatBytes, GiB } from '../../core/units.ts'
import {
  loadTime,
  type Machine,
  type Placement,
  parseHardware,
  parseLink,
  pipelinePlacement,
  soloPlacement,
  tensorPlacement,
} from '../../planner/index.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { ClusterMachine, ClusterOffer, MemberFacts } from '../../protocol/pool.ts'
import type { PoolEngine, PoolPlan } from '../pool-engine.ts'
import { type Candidate, machineOf } from './member.ts'
import type { Expectation, Placed } from './placed.ts'
import { type PairLink, type PoolQuestion, type PoolRequest, requestFor } from './question.ts'

const unknownSpeed = { expected: 0, low: 0, high: 0 }
/** Where neither the question nor the cluster nor the planner says. */
const usualContext = 8192
/** Between machines of a cluster Holon measures nothing. */
const usualLink = 'eth-10g'

/** One for each split that it offers; one for a cluster that tells of none. */
export function clusterPlacements(question: PoolQuestion, engine: PoolEngine, member: Candidate): Placed[] {
  const facts = member.facts as MemberFacts
  const told = member.state.models.find(({ id }) => id === question.model) ?? null
  const known = shapeOf(question, engine)
  const contextTokens = contextOf(question, known, told)
  const offers = bestOffers(facts.cluster?.offers ?? [])
  if (offers.length === 0) {
    const placement = withoutOffer(member, known, told, contextTokens)
    return [finish({ question, engine, member, known, contextTokens, placement, link: null, offer: null })]
  }
  const machines = facts.cluster?.machines ?? []
  return offers.map((offer) => {
    const link = linkOf(offer)
    const placement = byPlanner(offer, machines, known, contextTokens, link)
    return finish({ question, engine, member, known, contextTokens, placement, link, offer })
  })
}

/** What exo takes of each split: RDMA before TCP, then the fewest machines. */
export function bestOffers(offers: readonly ClusterOffer[]): ClusterOffer[] {
  return (['tensor', 'pipeline'] as const).flatMap((strategy) => {
    const [best] = offers
      .filter((offer) => offer.strategy === strategy)
      .sort((a, b) => Number(b.rdma) - Number(a.rdma) || a.machines.length - b.machines.length)
    return best === undefined ? [] : [best]
  })
}

/** Null for a model that the planner does not know: its cluster does. */
function shapeOf(question: PoolQuestion, engine: PoolEngine): PoolRequest | null {
  try {
    return requestFor(question, engine)
  } catch (thrown) {
    if (asHolonError(thrown).code === 'model_not_found') return null
    throw thrown
  }
}

function contextOf(question: PoolQuestion, known: PoolRequest | null, told: NodeModel | null): number {
  const asked = question.contextTokens ?? known?.request.contextTokens ?? told?.contextMax ?? usualContext
  return Math.min(asked, told?.contextMax ?? asked)
}

function linkOf({ machines, rdma }: ClusterOffer): PairLink | null {
  if (machines.length < 2) return null
  const spec = parseLink(rdma ? 'tb5-rdma' : usualLink)
  if (spec === null) throw new Error('the facts have no such link')
  return { spec: { ...spec, name: `${spec.name}, assumed` }, measured: false, warnings: [], ends: null }
}

function byPlanner(
  { strategy, machines: names, rdma }: ClusterOffer,
  told: readonly ClusterMachine[],
  known: PoolRequest | null,
  contextTokens: number,
  link: PairLink | null,
): Expectation {
  const many = `${names.length} of its machines: ${names.join(', ')}${names.length > 1 ? (rdma ? ', over RDMA' : ', over TCP') : ''}`
  const nothing = {
    strategy,
    machines: names,
    layers: [],
    memory: [],
    decodeTokS: unknownSpeed,
    prefillTokS: unknownSpeed,
    ttftS: unknownSpeed,
    basis: 'unknown' as const,
    because: [`it would take ${many}`],
  }
  const machines = names.map((name) => machineIn(told, name))
  if (known === null)
    return { ...nothing, because: [...nothing.because, 'the planner does not know this model'] }
  if (machines.some((machine) => machine === null))
    return { ...nothing, because: [...nothing.because, 'the planner does not know all of its machines'] }
  const request = { ...known.request, contextTokens, link: link?.spec ?? null }
  const planned = placementOn(strategy, request, machines as Machine[])
  const because = [...nothing.because, ...planned.because]
  if (planned.fits) return { ...planned, strategy, because }
  // exo counts the weights alone, and places by that.
  const short = `by the planner ${planned.whyNot ?? 'it does not fit'}; the cluster counts otherwise and would place it`
  return { ...nothing, layers: planned.layers, memory: planned.memory, because: [...nothing.because, short] }
}

function placementOn(
  strategy: ClusterOffer['strategy'],
  request: PoolRequest['request'],
  machines: readonly Machine[],
): Placement {
  const [first] = machines
  if (machines.length === 1 && first) return soloPlacement(request, first)
  if (strategy === 'tensor') return tensorPlacement(request, machines)
  return pipelinePlacement(request, machines, undefined, 'memory')
}

function machineIn(told: readonly ClusterMachine[], name: string): Machine | null {
  const found = told.find((machine) => machine.name === name)
  if (!found?.chip || found.memoryBytes <= 0) return null
  const hardware = parseHardware(found.chip, null, Math.round(found.memoryBytes / GiB))
  if (hardware === null) return null
  const { memoryBytes, freeBytes } = found
  const limitBytes = Math.min(freeBytes, memoryBytes)
  return {
    id: name,
    hardware,
    memoryBytes,
    usable: { limitBytes, reserveBytes: memoryBytes - limitBytes, how: 'free now', estimated: false },
    doubts: hardware.assumed,
  }
}

/** A cluster that tells nothing of its machines: the memory that its owner declared, and the speed that was measured. */
function withoutOffer(
  member: Candidate,
  known: PoolRequest | null,
  told: NodeModel | null,
  contextTokens: number,
): Expectation {
  const { name, facts } = member
  const { budgetBytes, usedBytes } = facts?.memory ?? member.state.memory
  const free = Math.max(0, budgetBytes - Math.max(0, usedBytes - member.ownBytes))
  const machine = machineOf(member)
  const because = ['how it splits the model is its own affair: Holon starts nothing there, asks and watches']
  const declared = { limitBytes: free, reserveBytes: 0, how: 'declared', estimated: false }
  const planned =
    known === null || machine === null
      ? null
      : soloPlacement(
          { ...known.request, contextTokens },
          { ...machine, memoryBytes: budgetBytes, usable: declared },
        )
  const [row] = planned?.memory ?? []
  if (row === undefined) because.push('the planner does not know this model, nor what it takes')
  else if (row.totalBytes > free)
    because.push(
      `by the planner it takes ${formatBytes(row.totalBytes)} and only ${formatBytes(free)} are declared for ${name} (HOLON_MEMORY_BUDGET_MB): its owner will know`,
    )
  else
    because.push(
      `by the planner it takes ${formatBytes(row.totalBytes)} of the ${formatBytes(free)} declared for ${name}`,
    )
  const measured = told?.measuredDecodeTokS ?? null
  because.push(
    measured === null
      ? 'nobody here can tell how fast it is before it has answered'
      : 'its speed was measured on its answers until now',
  )
  const exactly = (speed: number | null | undefined) =>
    speed == null ? unknownSpeed : { expected: speed, low: speed, high: speed }
  return {
    strategy: 'solo',
    machines: [name],
    layers: planned === null ? [] : planned.layers,
    memory: row === undefined ? [] : [row],
    decodeTokS: exactly(measured),
    prefillTokS: exactly(told?.measuredPrefillTokS),
    ttftS: unknownSpeed,
    basis: measured === null ? 'unknown' : 'measured',
    because,
  }
}

interface Finishing {
  question: PoolQuestion
  engine: PoolEngine
  member: Candidate
  known: PoolRequest | null
  contextTokens: number
  placement: Expectation
  link: PairLink | null
  offer: ClusterOffer | null
}

function finish(all: Finishing): Placed {
  const { question, engine, member, known, contextTokens, placement, link, offer } = all
  const because = [...placement.because]
  if (question.contextTokens !== null && contextTokens < question.contextTokens)
    because.push(
      `it holds ${contextTokens} tokens of context at most, and ${question.contextTokens} were asked for`,
    )
  const plan: PoolPlan = {
    model: question.model,
    strategy: placement.strategy === 'tensor' ? 'tensor' : 'pipeline',
    contextTokens,
    parallel: question.parallel ?? 1,
    members: [
      {
        node: member.name,
        layers: known?.request.model.layers ?? 0,
        share: 1,
        // Its memory is not this node's: nothing is kept from others here.
        limitBytes: 0,
        facts: member.facts as MemberFacts,
      },
    ],
  }
  const parts = placement.memory.map((row) => row.weightsBytes)
  try {
    return {
      group: {
        engine,
        members: [member],
        plan,
        settings: engine.layout(plan),
        placement: { ...placement, because },
        link,
        load: loadTime(offer === null ? [] : parts, null),
        loadHow:
          offer === null
            ? 'it is loaded there already'
            : 'each of its machines reads its part from its drive',
        modelSource: known?.source ?? 'the cluster’s own word',
      },
    }
  } catch (thrown) {
    return { obstacle: { error: asHolonError(thrown), member: null } }
  }
}
