/** /fleet/v1/pools and /fleet/v1/links: what the owner may ask and order. */
import type { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import type { PoolEngine } from '../../pool/pool-engine.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { clusterEngineIds, type PoolEngineId } from '../../protocol/pool.ts'
import {
  type CreatePoolRequest,
  createPoolRequest,
  linksResponse,
  measureLinksRequest,
  namedPool,
  type PoolView,
  type PreviewPlacement,
  type PreviewRequest,
  poolPreview,
  poolsResponse,
  poolView,
  previewRequest,
  removedPool,
} from '../../protocol/pools.ts'
import type { Operation } from '../api/operations.ts'
import { isMachine } from './fallback.ts'
import { refuseUnknownLinks } from './isolated-links.ts'
import { lookAt } from './look.ts'
import { modelNames } from './model-names.ts'
import type { Pools } from './pools.ts'
import { poolableNodes, previewPools } from './preview-pools.ts'

export function poolOperations(pools: Pools): Operation[] {
  const { fleet, links } = pools.options
  const operation = <Body>(
    method: 'get' | 'post',
    path: string,
    summary: string,
    request: z.ZodType<Body> | null,
    response: z.ZodType,
    run: (body: Body) => unknown,
  ): Operation => ({ method, path, summary, request, response, run: async (body) => run(body as Body) })
  return [
    operation(
      'get',
      '/fleet/v1/pools',
      'The pools, with their members and who answers now.',
      null,
      poolsResponse,
      async () => ({ pools: await pools.views() }),
    ),
    operation<PreviewRequest>(
      'post',
      '/fleet/v1/pools/preview',
      'Every sensible placement of a model on the machines, compared. Starts nothing.',
      previewRequest,
      poolPreview,
      (body) => previewPools(pools.options, body),
    ),
    operation<CreatePoolRequest>(
      'post',
      '/fleet/v1/pools',
      'Makes several machines one node for a model. Answers when they were looked at; they load after that.',
      createPoolRequest,
      poolView,
      (body) => create(pools, body),
    ),
    operation<{ name: string }>(
      'post',
      '/fleet/v1/pools/retry',
      'Tries again now, with members that were left out too.',
      namedPool,
      poolView,
      ({ name }) => {
        pools.retry(name)
        return viewOf(pools, name)
      },
    ),
    operation<{ name: string }>(
      'post',
      '/fleet/v1/pools/remove',
      'Ends a pool, after the answers under way, and frees its members.',
      namedPool,
      removedPool,
      async ({ name }) => {
        await pools.remove(name)
        return { name }
      },
    ),
    operation(
      'get',
      '/fleet/v1/links',
      'The ways between machines, measured by the machines themselves.',
      null,
      linksResponse,
      () => ({
        links: links.links(),
      }),
    ),
    operation<z.infer<typeof measureLinksRequest>>(
      'post',
      '/fleet/v1/links/measure',
      'Measures the ways between machines now, one pair after the other.',
      measureLinksRequest,
      linksResponse,
      async ({ nodes }) => {
        const handles = poolableNodes(fleet, nodes)
        const looked = await lookAt(handles, {
          engine: anyEngine(pools.options.engines),
          modelOn: () => '-',
          ownBytes: () => 0,
        })
        for (const [at, { facts }] of looked.entries()) {
          const handle = handles[at]
          if (facts && handle) links.note(handle, facts.interfaces)
        }
        await links.measure(
          handles.map(({ id }) => id),
          true,
        )
        return { links: links.links() }
      },
    ),
  ]
}

const anyEngine = (engines: readonly PoolEngine[]): PoolEngineId => engines[0]?.id ?? 'llama-rpc'

/** What is wrong with the wish itself comes first: the planner would only wonder at it. */
async function create(pools: Pools, body: CreatePoolRequest): Promise<PoolView> {
  pools.refuseTaken(body.name)
  const members = poolableNodes(pools.options.fleet, body.nodes)
  if (members.length < 2 && body.engine !== undefined && !clusterEngineIds.has(body.engine))
    throw alone(body, null)
  refuseFallback(pools, body)
  await refuseLinks(pools, body, members)
  const engine = body.engine ?? (await chooseEngine(pools, body, members))
  await pools.create({
    name: body.name,
    model: body.model,
    members: members.map(({ id }) => id),
    engine,
    contextTokens: body.contextTokens ?? null,
    parallel: body.parallel ?? null,
    fallback: body.fallback ?? null,
    isolatedLinks: body.isolatedLinks ?? [],
  })
  return viewOf(pools, body.name)
}

function alone({ model }: CreatePoolRequest, outsideOfClusters: NodeHandle | null): HolonError {
  const besides = outsideOfClusters ? `, and ${outsideOfClusters.name} reaches no cluster` : ''
  return new HolonError('pool_impossible', `A pool needs two members or more${besides}.`, {
    hint: `Name more with --nodes, or load the model on the one machine: \`holon load ${model}\`.`,
  })
}

/** A fallback that nobody has would be missed only when it is needed. @throws HolonError invalid_parameter */
function refuseFallback(pools: Pools, { model, fallback }: CreatePoolRequest): void {
  if (fallback === undefined) return
  const { catalogue, fleet } = pools.options
  const refuse = (message: string, hint: string): never => {
    throw new HolonError('invalid_parameter', message, { param: 'fallback', hint })
  }
  if (fallback === model)
    refuse(`${model} cannot be its own fallback.`, 'Name another model, one that a single machine holds.')
  const machines = fleet.nodes.filter(isMachine)
  if (modelNames(catalogue, fallback, machines).model === null)
    refuse(
      `No machine has ${fallback}, which is to answer while the pool cannot.`,
      `\`holon models\` lists what there is; \`holon pull ${fallback}\` gets it.`,
    )
}

/** @throws HolonError invalid_parameter */
async function refuseLinks(
  pools: Pools,
  { isolatedLinks = [], model, engine }: CreatePoolRequest,
  members: readonly NodeHandle[],
): Promise<void> {
  if (isolatedLinks.length === 0) return
  const looked = await lookAt(members, {
    engine: engine ?? anyEngine(pools.options.engines),
    modelOn: () => model,
    ownBytes: () => 0,
  })
  const told = looked.map(({ node, name, facts }) => ({
    ...{ id: node, name },
    interfaces: facts?.interfaces ?? null,
  }))
  refuseUnknownLinks(isolatedLinks, told)
}

/** The fastest that fits all the members that were named. @throws HolonError pool_impossible with what stands against each */
async function chooseEngine(
  pools: Pools,
  body: CreatePoolRequest,
  members: readonly NodeHandle[],
): Promise<PoolEngineId> {
  const { model, contextTokens, parallel } = body
  const nodes = members.map(({ id }) => id)
  const preview = await previewPools(pools.options, { model, contextTokens, parallel, nodes })
  const whole = preview.placements.filter((one) => takesAll(one, members))
  const best = whole.find(({ fits }) => fits)
  if (best && best.engine !== 'solo') return best.engine
  if (members.length < 2 && whole.length === 0) throw alone(body, members[0] ?? null)
  const hint = `\`holon pool preview ${model}\` compares what is possible.`
  const reasons = new Set(whole.map(({ whyNot }) => whyNot ?? 'It does not fit.'))
  const [only = ''] = reasons
  if (reasons.size === 1) throw new HolonError('pool_impossible', only, { hint })
  const names = members.map(({ name }) => name).join(', ')
  const each = whole.map(({ engine, whyNot }) => `${engine}: ${whyNot}`).join(' ')
  throw new HolonError('pool_impossible', `No engine can serve ${model} on ${names}. ${each}`.trim(), {
    hint,
  })
}

/** A placement on all members that were named; a cluster's is on the machines of its own. */
function takesAll(one: PreviewPlacement, members: readonly NodeHandle[]): boolean {
  if (one.engine === 'solo') return false
  if (clusterEngineIds.has(one.engine)) return members.length === 1 && one.head === members[0]?.name
  return members.length > 1 && one.members.length === members.length
}

async function viewOf(pools: Pools, name: string): Promise<PoolView> {
  const view = (await pools.views()).find((one) => one.name === name)
  if (view) return view
  throw new HolonError('pool_not_found', `There is no pool called ${name}.`)
}
