/**
 * Every sensible placement of a model on a fleet, best first: pools of all its machines and of some, and each machine
 * alone; with memory, speed, load time, and what happens when each member dies. Pure: nothing is started.
 */
import { asHolonError, catalogue, type HolonError } from '../../core/errors.ts'
import { formatBytes, formatSeconds } from '../../core/units.ts'
import { loadTime, soloPlacement } from '../../planner/index.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolPreview, PreviewPlacement, WhenAMemberDies } from '../../protocol/pools.ts'
import type { PoolEngine } from '../pool-engine.ts'
import { decide } from './decide.ts'
import { type Candidate, machineOf } from './member.ts'
import { type Expectation, fastest, type GroupPlacement } from './placed.ts'
import { placementsOf } from './placement.ts'
import { type PoolQuestion, requestFor } from './question.ts'
import { vouchFor } from './vouch-for.ts'
import { servedBesides, whenAClusterDies } from './when-a-cluster-dies.ts'

export interface PreviewQuestion extends PoolQuestion {
  /** Each engine with the members as they described themselves for it. */
  engines: readonly { engine: PoolEngine; members: readonly Candidate[] }[]
  /** The model that answers while no placement can; null when none is declared. */
  fallback: string | null
}

/** Beyond this many machines, pools of some of them are the largest ones only. */
const everySubsetUpTo = 4
/** A pool must be this much faster than one machine to be recommended where one machine does. */
const poolGain = 1.1

export function previewPool(question: PreviewQuestion): PoolPreview {
  const placements: PreviewPlacement[] = []
  for (const { engine, members } of question.engines)
    for (const subset of subsetsFor(engine, members))
      placements.push(...poolPlacements(question, engine, members, subset))
  for (const member of question.members) placements.push(soloRow(question, member))
  const ranked = [...placements].sort(
    (a, b) => Number(b.fits) - Number(a.fits) || b.decodeTokS.expected - a.decodeTokS.expected,
  )
  const best = recommended(ranked)
  const unknowns = new Set<string>()
  for (const { engine, link } of ranked)
    if (link && !link.measured) unknowns.add(notMeasured(link, clusterEngineIds.has(engine)))
  for (const doubt of doubtsOf(question)) unknowns.add(doubt)
  return {
    model: question.model,
    placements: ranked.map((one) => ({ ...one, losesBecause: one === best ? null : whyItLoses(one, best) })),
    recommended: best?.id ?? null,
    unknowns: [...unknowns],
  }
}

function notMeasured({ between, name }: NonNullable<PreviewPlacement['link']>, foreign: boolean): string {
  const where = between.join(' and ')
  if (foreign) return `the network between ${where} is their cluster's own; this counts with ${name}`
  return `no link between ${where} is measured; this counts with ${name} (\`holon pool links --measure\`)`
}

function subsetsFor(engine: PoolEngine, members: readonly Candidate[]): Candidate[][] {
  if (clusterEngineIds.has(engine.id)) return members.map((member) => [member])
  // Where nobody has the model, fewer of them have it no better.
  return members.some(({ facts }) => facts?.modelPath != null) ? subsets(members) : [[...members]]
}

function subsets(members: readonly Candidate[]): Candidate[][] {
  const found: Candidate[][] = []
  if (members.length <= everySubsetUpTo) {
    for (let mask = (1 << members.length) - 1; mask > 0; mask--) {
      const subset = members.filter((_, at) => (mask >> at) & 1)
      if (subset.length > 1) found.push(subset)
    }
    return found.length > 0 ? found : [[...members]]
  }
  const limit = (member: Candidate) => machineOf(member)?.usable.limitBytes ?? 0
  const largest = [...members].sort((a, b) => limit(b) - limit(a))
  for (let count = members.length; count >= 2; count--) found.push(largest.slice(0, count))
  return found
}

/** One row for each split, the fastest first. */
function poolPlacements(
  question: PreviewQuestion,
  engine: PoolEngine,
  all: readonly Candidate[],
  members: readonly Candidate[],
): PreviewPlacement[] {
  const id = `${engine.id}:${members.map(({ name }) => name).join('+')}`
  try {
    const placed = placementsOf({ ...question, members: all }, engine, members)
    const best = fastest(placed)
    const rows = [best, ...placed.filter((one) => one !== best)].map((one, at) => {
      const own = at === 0 ? id : `${id}:${at + 1}`
      if ('group' in one) return groupRow(question, own, one.group, members)
      return unfit(own, engine.id, members, toldInPreview(one.obstacle.error))
    })
    return rows.filter(({ whyNot }, at) => whyNot === null || at === 0 || whyNot !== rows[0]?.whyNot)
  } catch (thrown) {
    return [unfit(id, engine.id, members, asHolonError(thrown).message)]
  }
}

/** That a preview would tell more is no hint in a preview. */
function toldInPreview({ message, hint }: HolonError): string {
  return hint && hint !== catalogue.pool_impossible.hint ? `${message} ${hint}` : message
}

function groupRow(
  question: PreviewQuestion,
  id: string,
  group: GroupPlacement,
  members: readonly Candidate[],
): PreviewPlacement {
  const { engine, plan, placement, link, load, loadHow, modelSource } = group
  const isCluster = clusterEngineIds.has(engine.id)
  const names = plan.members.map(({ node }) => node)
  const because = [...placement.because]
  if (link) because.push(...link.warnings)
  if (!engine.concurrent) because.push(`${engine.title} answers one request at a time; others wait`)
  const vouching = vouchFor(question, engine, group.members)
  if (vouching !== null) because.push(vouching)
  return {
    id,
    engine: engine.id,
    strategy: isCluster ? placement.strategy : plan.strategy,
    head: names[0] ?? '',
    fits: true,
    whyNot: null,
    members: isCluster ? clusterRows(group) : ownRows(group),
    link: link && {
      between: isCluster ? placement.machines : names,
      name: link.spec.name,
      measured: link.measured,
      bytesS: link.spec.bytesPerS,
      latencyMs: link.spec.latencyS * 1000,
    },
    contextTokens: plan.contextTokens,
    decodeTokS: placement.decodeTokS,
    prefillTokS: placement.prefillTokS,
    ttftS: placement.ttftS,
    basis: placement.basis,
    modelSource,
    loadS: load.overLinkS ?? load.fromDriveS,
    loadHow: loadHow ?? usualLoad(load.overLinkS !== null),
    whenAMemberDies: isCluster
      ? whenAClusterDies(question, group)
      : members.map((member) => whenDead(question, engine, members, member)),
    because,
    losesBecause: null,
  }
}

const usualLoad = (sent: boolean): string =>
  sent
    ? 'the head reads the file and sends the others their parts'
    : 'each member reads its part from its drive'

function ownRows({ plan, placement }: GroupPlacement): PreviewPlacement['members'] {
  return plan.members.map(({ node, layers, share }, at) => ({
    node,
    layers,
    share,
    memory: memoryRow(placement, at),
  }))
}

/** The cluster's machines, as far as it tells of them. */
function clusterRows({ plan, placement }: GroupPlacement): PreviewPlacement['members'] {
  const tensor = placement.strategy === 'tensor'
  return placement.machines.map((node, at) => {
    const layers = placement.layers[at] ?? 0
    const all = plan.members[0]?.layers ?? 0
    const share = tensor || all === 0 ? 1 / placement.machines.length : layers / all
    return { node, layers, share, memory: placement.memory[at] ? memoryRow(placement, at) : null }
  })
}

function memoryRow(placement: Expectation, at: number): PreviewPlacement['members'][number]['memory'] {
  const { machine: _, ...row } = placement.memory[at] ?? {
    machine: '', weightsBytes: 0, kvBytes: 0, computeBytes: 0, reserveBytes: 0, totalBytes: 0, limitBytes: 0,
  } // biome-ignore format: one row
  return row
}

/** Worked out as the controller will: the members left, one alone, the fallback, or down. */
function whenDead(
  question: PreviewQuestion,
  engine: PoolEngine,
  members: readonly Candidate[],
  dead: Candidate,
): WhenAMemberDies {
  const left = members.filter((member) => member !== dead)
  const node = dead.name
  const decision = decide({ ...question, members: left }, engine, left)
  if (decision.kind === 'group') {
    const { decodeTokS } = decision.group.placement
    const detail = `rebuilt on ${left.map(({ name }) => name).join(', ')}: ${decodeTokS.expected.toFixed(1)} tok/s expected`
    return { node, outcome: 'rebuild', detail }
  }
  if (decision.kind === 'solo') {
    const { name, placement } = decision.solo
    const detail = `${name} goes on alone: ${placement.decodeTokS.expected.toFixed(1)} tok/s expected`
    return { node, outcome: 'solo', detail }
  }
  const why = decision.obstacle.error.message
  if (question.fallback !== null)
    return { node, outcome: 'fallback', detail: `${question.fallback} answers instead. ${why}` }
  return { node, outcome: 'down', detail: `${why} Declare a model that answers meanwhile with --fallback.` }
}

function soloRow(question: PreviewQuestion, member: Candidate): PreviewPlacement {
  const id = `solo:${member.name}`
  const foreign = servedBesides(question.model, member)
  if (foreign !== null) return unfit(id, 'solo', [member], foreign)
  const machine = machineOf(member)
  if (machine === null) return unfit(id, 'solo', [member], `${member.name} has not told its hardware yet.`)
  try {
    const { request, source } = requestFor(question, null)
    const placement = soloPlacement(request, machine)
    if (!placement.fits) return unfit(id, 'solo', [member], `${placement.whyNot ?? 'It does not fit'}.`)
    if (member.facts?.modelPath == null) {
      const why = `It would fit, and ${member.name} does not have it: \`holon pull\` there.`
      return unfit(id, 'solo', [member], why)
    }
    if (!question.servesAlone(member.node)) {
      const why = `It would fit, and ${member.name} has it as files that only a pool's engine reads: pull a GGUF of it there.`
      return unfit(id, 'solo', [member], why)
    }
    const load = loadTime([placement.memory[0]?.weightsBytes ?? 0], null)
    return {
      ...unfit(id, 'solo', [member], ''),
      fits: true,
      whyNot: null,
      members: [
        { node: member.name, layers: placement.layers[0] ?? 0, share: 1, memory: memoryRow(placement, 0) },
      ],
      contextTokens: placement.setup.contextTokens,
      decodeTokS: placement.decodeTokS,
      prefillTokS: placement.prefillTokS,
      ttftS: placement.ttftS,
      basis: placement.basis,
      modelSource: source,
      loadS: load.fromDriveS,
      loadHow: 'it reads the file from its drive',
      because: placement.because,
      whenAMemberDies: [
        question.fallback === null
          ? { node: member.name, outcome: 'down', detail: 'nothing else serves the model then' }
          : { node: member.name, outcome: 'fallback', detail: `${question.fallback} answers instead` },
      ],
    }
  } catch (thrown) {
    return unfit(id, 'solo', [member], asHolonError(thrown).message)
  }
}

function unfit(
  id: string,
  engine: PreviewPlacement['engine'],
  members: readonly Candidate[],
  whyNot: string,
): PreviewPlacement {
  const nothing = { expected: 0, low: 0, high: 0 }
  return {
    id,
    engine,
    strategy: engine === 'solo' ? 'solo' : 'pipeline',
    head: members[0]?.name ?? '',
    fits: false,
    whyNot,
    members: members.map(({ name }) => ({ node: name, layers: 0, share: 0, memory: null })),
    link: null,
    contextTokens: 0,
    decodeTokS: nothing,
    prefillTokS: nothing,
    ttftS: nothing,
    basis: 'modelled',
    modelSource: '',
    loadS: 0,
    loadHow: '',
    whenAMemberDies: [],
    because: [],
    losesBecause: null,
  }
}

function recommended(ranked: readonly PreviewPlacement[]): PreviewPlacement | null {
  const fitting = ranked.filter(({ fits }) => fits)
  const solo = fitting.find(({ engine }) => engine === 'solo')
  const pool = fitting.find(({ engine }) => engine !== 'solo')
  if (!solo || !pool) return solo ?? pool ?? null
  return pool.decodeTokS.expected >= poolGain * solo.decodeTokS.expected ? pool : solo
}

function whyItLoses(one: PreviewPlacement, best: PreviewPlacement | null): string {
  if (!one.fits || best === null) return one.whyNot ?? 'It does not fit.'
  const speed = `${one.decodeTokS.expected.toFixed(1)} against ${best.decodeTokS.expected.toFixed(1)} tok/s`
  if (best.engine === 'solo' && one.engine !== 'solo') {
    const gain = one.decodeTokS.expected / best.decodeTokS.expected
    return gain >= 1
      ? `It is less than 10 % faster than one machine (${speed}), which is not worth the risk.`
      : `One machine is faster (${speed}).`
  }
  if (one.basis === 'unknown' || best.basis === 'unknown')
    return `Nobody here can tell which is faster: the speed of ${one.basis === 'unknown' ? one.engine : best.engine} is not known.`
  if (one.decodeTokS.expected < best.decodeTokS.expected) return `It is slower (${speed}).`
  return `It is as fast (${speed}) and needs more machines or ${formatSeconds(one.loadS)} to load.`
}

function doubtsOf(question: PreviewQuestion): string[] {
  try {
    const { request, source } = requestFor(question, null)
    const doubts = [...request.doubts]
    if (source !== 'the header of its file')
      doubts.push(
        `no member read the model's header: its shape is from ${source}, ${formatBytes(request.weights.total)}`,
      )
    return doubts
  } catch {
    return []
  }
}
