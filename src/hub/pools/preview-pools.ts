/** `holon pool preview`: asks the machines what they bring and lets the planner compare. Nothing is started. */
import { HolonError } from '../../core/errors.ts'
import type { PoolEngine } from '../../pool/pool-engine.ts'
import type { Candidate } from '../../pool/preview/member.ts'
import { previewPool } from '../../pool/preview/preview.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolPreview, PreviewRequest } from '../../protocol/pools.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { LinkBook } from '../links/link-book.ts'
import type { Fleet } from '../registry/fleet.ts'
import { lookAt } from './look.ts'
import { modelNames } from './model-names.ts'
import type { PoolsOptions } from './pools-options.ts'

export interface PreviewDeps {
  fleet: Fleet
  catalogue: Pick<Catalogue, 'find'>
  links: LinkBook
  engines: readonly PoolEngine[]
  paceOf: PoolsOptions['paceOf']
}

/** @throws HolonError invalid_parameter, pool_impossible */
export async function previewPools(deps: PreviewDeps, asked: PreviewRequest): Promise<PoolPreview> {
  const { catalogue, links } = deps
  const nodes = poolableNodes(deps.fleet, asked.nodes)
  const names = modelNames(catalogue, asked.model, nodes)
  const engines = deps.engines.filter(({ id }) => asked.engine === undefined || id === asked.engine)
  if (engines.length === 0)
    throw new HolonError(
      'pool_impossible',
      `This version of Holon has no distributed engine ${asked.engine ?? 'at all'}.`,
    )
  const looked = await Promise.all(
    engines.map(async (engine) => ({
      engine,
      members: await lookAt(nodes, {
        ...{ engine: engine.id, modelOn: names.on, ownBytes: () => 0 },
        paceOf: (node) => deps.paceOf(node.id, names.on(node)),
      }),
    })),
  )
  for (const { members } of looked)
    for (const [at, { facts }] of members.entries())
      if (facts) links.note(nodes[at] as NodeHandle, facts.interfaces)
  const some = asked.engine === undefined ? worthTelling(looked) : looked
  return previewPool({
    model: names.model?.id ?? asked.model,
    contextTokens: asked.contextTokens ?? null,
    parallel: asked.parallel ?? null,
    fallback: asked.fallback ?? null,
    members: nodes.map((_, at) => asHolder(looked, at)),
    engines: some.length > 0 ? some : looked,
    link: (a, b) => links.between(a, b),
    servesAlone: (id) => nodes.some((node) => node.id === id && hasAlone(node, names.on(node))),
  })
}

interface Looked {
  engine: PoolEngine
  members: Candidate[]
}

/** Unasked, an engine that too few of them have for a pool is noise, and so is a machine that reaches no cluster. */
function worthTelling(looked: readonly Looked[]): Looked[] {
  const told = looked.map(({ engine, members }) => {
    const inCluster = members.filter(({ facts }) => facts?.build != null)
    return { engine, members: clusterEngineIds.has(engine.id) ? inCluster : members }
  })
  const able = (least: number): Looked[] =>
    told.filter(({ engine, members }) => {
      const count = members.filter(({ facts }) => facts?.whyNot === null).length
      return clusterEngineIds.has(engine.id) ? members.length > 0 : count >= least
    })
  const pooling = able(2)
  return pooling.length > 0 ? pooling : able(1)
}

/** A machine by itself: what it has for one engine it has, whatever the others say. */
function asHolder(looked: readonly Looked[], at: number): Candidate {
  const own = looked.filter(({ engine }) => !clusterEngineIds.has(engine.id))
  const all = (own.length > 0 ? own : looked).map(({ members }) => members[at] as Candidate)
  return all.find(({ facts }) => facts?.modelPath != null) ?? (all[0] as Candidate)
}

/** Its own engine can load the model. */
export function hasAlone(node: NodeHandle, model: string): boolean {
  return node.state().models.some(({ id, problem }) => id === model && problem === null)
}

/**
 * The machines that can be members, by name or id; all that are ready when none is named.
 * @throws HolonError invalid_parameter for a name that is none, or that is named twice
 */
export function poolableNodes(fleet: Fleet, names: readonly string[] | undefined): NodeHandle[] {
  const able = fleet.nodes.filter(({ pool }) => pool !== undefined)
  if (names === undefined) return able.filter((node) => node.state().state === 'ready')
  const found = names.map((name) => {
    const node = able.find(({ id }) => id === name) ?? able.find((one) => one.name === name)
    if (node) return node
    const known = able.map((one) => one.name).join(', ')
    const hint =
      known === '' ? 'No machine here can take part in a pool.' : `Machines that can take part: ${known}.`
    const isPool = fleet.nodes.some((one) => one.name === name || one.id === name)
    const what = isPool ? `${name} cannot take part in a pool.` : `There is no machine called ${name}.`
    throw new HolonError('invalid_parameter', what, { param: 'nodes', hint })
  })
  const twice = found.find((node, at) => found.indexOf(node) !== at)
  if (!twice) return found
  throw new HolonError('invalid_parameter', `${twice.name} is named twice.`, { param: 'nodes' })
}
