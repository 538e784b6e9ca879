/**
 * One placement of a model on named members with one engine: whether it can be, how it is split, how fast it will be. Pure.
 * Whatever speaks against it is found here, before anything is started.
 */
import { asHolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import {
  loadTime,
  type Machine,
  type Placement,
  type PlanRequest,
  pipelinePlacement,
  soloPlacement,
  tensorPlacement,
} from '../../planner/index.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolEngine, PoolPlan } from '../pool-engine.ts'
import { type Candidate, machineOf, whatCouldGo } from './member.ts'
import { clusterPlacements } from './place-cluster.ts'
import { fastest, impossible, type Placed } from './placed.ts'
import { type PairLink, type PoolQuestion, requestFor } from './question.ts'

/** Engines whose workers hold no files: the head sends them their part. */
const headSends = new Set(['llama-rpc'])

export function placeGroup(
  question: PoolQuestion,
  engine: PoolEngine,
  members: readonly Candidate[],
): Placed {
  return fastest(placementsOf(question, engine, members))
}

/** With every split that the engine has: those that can be, or what stands against them. Never empty. */
export function placementsOf(
  question: PoolQuestion,
  engine: PoolEngine,
  members: readonly Candidate[],
): readonly Placed[] {
  const isCluster = clusterEngineIds.has(engine.id)
  if (isCluster && members.length > 1)
    return [
      impossible(
        `${engine.title} is one member of a pool, and ${members.length} were named.`,
        'Name only the node on which it answers: it finds its own machines.',
      ),
    ]
  const refusal = refuseMembers(question, engine, members)
  if (refusal !== null) return [refusal]
  const [only] = members
  if (isCluster && only) return clusterPlacements(question, engine, only)
  const ordered = headFirst(members)
  const machines = ordered.map((member) => machineOf(member) as Machine)
  const { request, source } = requestFor(question, engine)
  const link = slowestLink(question, ordered)
  const asked = { ...request, link: link?.spec ?? null }
  return strategiesOf(engine, asked, machines).map((placement) =>
    finish(question, engine, ordered, placement, link, source),
  )
}

/** What a member says of itself or lacks, before any planning. */
function refuseMembers(
  question: PoolQuestion,
  engine: PoolEngine,
  members: readonly Candidate[],
): Placed | null {
  const isCluster = clusterEngineIds.has(engine.id)
  if (members.length === 0) return impossible('No member is left.', '')
  if (members.length < 2 && !isCluster)
    return impossible(
      'A pool needs two members or more.',
      'Name more with --nodes, or load the model on the one machine: `holon load MODEL`.',
    )
  for (const { node, name, facts, silence, state } of members) {
    if (facts === null)
      return impossible(`${name} cannot take part: ${silence ?? 'it said nothing.'}`, undefined, node)
    if (facts.whyNot !== null) return impossible(`${name} cannot take part: ${facts.whyNot}`, '', node)
    if (state.profile === null)
      return impossible(`${name} has not told its hardware yet.`, 'Try again in a moment.', node)
  }
  if (!isCluster && !members.some(({ facts }) => facts?.modelPath != null))
    return refuseMissing(question, engine, members)
  return refuseBuilds(engine, members) ?? refuseDisks(question, engine, members)
}

/** Nobody has the model, or nobody has it whole, or in a form that this engine reads. */
function refuseMissing({ model }: PoolQuestion, engine: PoolEngine, members: readonly Candidate[]): Placed {
  const copies = members.flatMap(({ name, state }) =>
    state.models.filter(({ id }) => id === model).map(({ problem }) => ({ name, problem })),
  )
  const copy = copies.find(({ problem }) => problem === null) ?? copies[0]
  if (!copy)
    return impossible(
      `None of these machines has ${model}.`,
      `Get it on one of them: \`holon pull ${model}\` there.`,
    )
  if (copy.problem !== null)
    return impossible(
      `${copy.name} has ${model}, and its file cannot be used: ${copy.problem}`,
      'Get it again there: a download that was cut goes on where it stopped.',
    )
  const reads = engine.id === 'llama-rpc' ? 'a GGUF file' : 'a folder of safetensors'
  return impossible(
    `${copy.name} has ${model}, but not as ${reads}, which is what ${engine.title} reads.`,
    'Use the engine that reads it, or get it in that form on one of them.',
  )
}

/** The odd one out is to blame: the build that fewest have. */
function refuseBuilds(engine: PoolEngine, members: readonly Candidate[]): Placed | null {
  const builds = members.map(({ facts }) => facts?.build ?? 'an unknown build')
  if (new Set(builds).size < 2) return null
  const count = (build: string) => builds.filter((other) => other === build).length
  const odd = builds.reduce(
    (rarest, build, at) => (count(build) <= count(builds[rarest] ?? '') ? at : rarest),
    0,
  )
  const other = builds.findIndex((build) => build !== builds[odd])
  return impossible(
    `${members[odd]?.name} has ${builds[odd]} and ${members[other]?.name} has ${builds[other]}; ${engine.title} needs the same on all members.`,
    'Install the same version of the engine on both: `holon engines`.',
    members[odd]?.node ?? null,
  )
}

function refuseDisks(
  question: PoolQuestion,
  engine: PoolEngine,
  members: readonly Candidate[],
): Placed | null {
  if (headSends.has(engine.id)) return null
  const bytes = members.map(({ facts }) => facts?.modelBytes).find((one) => one != null) ?? 0
  for (const { node, name, facts } of members) {
    if (facts?.modelPath != null || facts?.diskFreeBytes == null || facts.diskFreeBytes >= bytes) continue
    const message = `${name} has ${formatBytes(facts.diskFreeBytes)} free on its disk and ${question.model} takes ${formatBytes(bytes)}.`
    return impossible(
      message,
      'Free some space there, or use --engine llama-rpc, whose workers keep no files.',
      node,
    )
  }
  return null
}

/** The head has the model; of several that do, the one with most memory, since it also holds what is not split. */
export function headFirst(members: readonly Candidate[]): Candidate[] {
  const limit = (member: Candidate) => machineOf(member)?.usable.limitBytes ?? 0
  const holders = members.filter(({ facts }) => facts?.modelPath != null)
  const head = (holders.length > 0 ? holders : members).reduce((best, one) =>
    limit(one) > limit(best) ? one : best,
  )
  return [head, ...members.filter((member) => member !== head)]
}

/** What the slowest pair does, all do: every token passes it. */
function slowestLink(question: PoolQuestion, members: readonly Candidate[]): PairLink | null {
  let slowest: PairLink | null = null
  for (const [at, one] of members.entries()) {
    for (const other of members.slice(at + 1)) {
      const link = question.link(one.node, other.node)
      if (slowest === null || link.spec.latencyS > slowest.spec.latencyS) slowest = link
    }
  }
  return slowest
}

function strategiesOf(engine: PoolEngine, request: PlanRequest, machines: readonly Machine[]): Placement[] {
  if (engine.id === 'llama-rpc') return [pipelinePlacement(request, machines, undefined, 'all')]
  return [tensorPlacement(request, machines), pipelinePlacement(request, machines, undefined, 'even')]
}

function finish(
  question: PoolQuestion,
  engine: PoolEngine,
  members: readonly Candidate[],
  placement: Placement,
  link: PairLink | null,
  modelSource: string,
): Placed {
  if (!placement.fits) {
    const short = members.map(whatCouldGo).join('')
    return impossible(
      `${placement.whyNot ?? 'It does not fit'}.${short}`,
      'A smaller quant or --context needs less.',
    )
  }
  const missing = members.find(({ name }) => !placement.machines.includes(name))
  if (missing) return impossible(`${missing.name} has no memory for a single layer.`, undefined, missing.node)
  const plan: PoolPlan = {
    model: question.model,
    strategy: placement.strategy === 'tensor' ? 'tensor' : 'pipeline',
    contextTokens: placement.setup.contextTokens,
    parallel: question.parallel ?? 1,
    members: members.map((member, at) => ({
      node: member.name,
      layers: placement.layers[at] ?? 0,
      share: placement.strategy === 'tensor' ? 1 / members.length : (placement.shares[at] ?? 0),
      limitBytes: allowance(placement, at),
      facts: member.facts as NonNullable<Candidate['facts']>,
    })),
  }
  try {
    const settings = engine.layout(plan)
    const parts = placement.memory.map((row) => row.weightsBytes)
    const load = loadTime(parts, headSends.has(engine.id) ? (link?.spec ?? null) : null)
    return { group: { engine, members, plan, settings, placement, link, load, modelSource } }
  } catch (thrown) {
    return { obstacle: { error: asHolonError(thrown), member: null } }
  }
}

/** What a part is promised of its machine is kept from all others there: what it needs and a little, not all there is. */
function allowance({ memory }: Placement, at: number): number {
  const { totalBytes, limitBytes } = memory[at] ?? { totalBytes: 0, limitBytes: 0 }
  return Math.ceil(Math.min(limitBytes, totalBytes * 1.1))
}

/** The model on one member alone, by its own engine; null when it cannot. */
export function placeSolo(question: PoolQuestion, member: Candidate): Placement | null {
  const machine = machineOf(member)
  if (machine === null || member.facts?.modelPath == null || !question.servesAlone(member.node)) return null
  const placement = soloPlacement(requestFor(question, null).request, machine)
  return placement.fits ? placement : null
}
