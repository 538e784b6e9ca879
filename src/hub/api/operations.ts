/**
 * The management operations as one table: what the server answers and what /openapi.json says come from the same
 * lines, so that they cannot drift apart.
 */
import type { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import {
  historyResponse,
  loadRequest,
  loadResponse,
  modelsResponse,
  nodesResponse,
  psResponse,
  type StatusResponse,
  statusResponse,
  unloadRequest,
  unloadResponse,
  usageResponse,
} from '../../protocol/fleet.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { Caller } from '../auth/caller.ts'

export type UsageRow = z.infer<typeof usageResponse>['usage'][number]

export type HistoryEvent = z.infer<typeof historyResponse>['events'][number]

export interface FleetDeps {
  nodes: readonly NodeHandle[]
  status(): StatusResponse
  usage(): Promise<UsageRow[]>
  history(): Promise<HistoryEvent[]>
  /** Where a model would answer now, offered or not. @throws HolonError model_not_found */
  find(asked: string): { node: NodeHandle; model: NodeModel }
  /** Whether a caller may know of a model, by its id: a narrow key sees what it may use. */
  mayUse(caller: Caller): (model: string) => boolean
  log: Log
}

export interface Asker {
  caller: Caller
  /** Who, and from where, for the books: `key laptop at 10.0.0.5`. */
  actor: string
  /** What stands in the path at `{name}`. */
  params: Readonly<Record<string, string>>
}

export interface Operation {
  method: 'get' | 'post'
  path: string
  summary: string
  request: z.ZodType | null
  response: z.ZodType
  /** @param body checked against `request` already */
  run(body: unknown, asker: Asker): Promise<unknown>
}

export function fleetOperations(deps: FleetDeps): Operation[] {
  const states = () => deps.nodes.map((node) => node.state())
  const read = (
    path: string,
    summary: string,
    response: z.ZodType,
    run: (caller: Caller) => unknown,
  ): Operation => ({
    method: 'get',
    path,
    summary,
    request: null,
    response,
    run: async (_, { caller }) => run(caller),
  })
  const visible = <Row extends { id: string }>(caller: Caller, rows: Row[]): Row[] => {
    const may = deps.mayUse(caller)
    return rows.filter((row) => may(row.id))
  }
  return [
    read('/fleet/v1/status', 'The hub itself.', statusResponse, () => deps.status()),
    read('/fleet/v1/nodes', 'The machines, with hardware, models and memory.', nodesResponse, () => ({
      nodes: states(),
    })),
    read('/fleet/v1/models', 'The models on all nodes, each once.', modelsResponse, (caller) => ({
      models: visible(caller, eachOnce(states().flatMap((state) => state.models))),
    })),
    read('/fleet/v1/ps', 'The models in memory now.', psResponse, (caller) => ({
      models: visible(
        caller,
        states().flatMap((state) => state.running),
      ),
    })),
    read('/fleet/v1/usage', 'Requests and tokens per model.', usageResponse, async () => ({
      usage: await deps.usage(),
    })),
    read('/fleet/v1/history', 'What happened to the fleet, newest first.', historyResponse, async () => ({
      events: await deps.history(),
    })),
    {
      method: 'post',
      path: '/fleet/v1/models/load',
      summary: 'Loads a model into memory.',
      request: loadRequest,
      response: loadResponse,
      run: (body) => load(deps, body as z.infer<typeof loadRequest>),
    },
    {
      method: 'post',
      path: '/fleet/v1/models/unload',
      summary: 'Takes a model out of memory, and keeps it there no longer.',
      request: unloadRequest,
      response: unloadResponse,
      run: (body) => unload(deps, body as z.infer<typeof unloadRequest>),
    },
  ]
}

const rank: NodeModel['state'][] = ['ready', 'loading', 'disk', 'failed']

function eachOnce(models: NodeModel[]): NodeModel[] {
  const best = new Map<string, NodeModel>()
  for (const model of models) {
    const known = best.get(model.id)
    if (!known || rank.indexOf(model.state) < rank.indexOf(known.state)) best.set(model.id, model)
  }
  return [...best.values()]
}

async function load(
  deps: FleetDeps,
  body: z.infer<typeof loadRequest>,
): Promise<z.infer<typeof loadResponse>> {
  const { node, model } = deps.find(body.model)
  const { contextTokens, parallel, engine, keep } = body
  const loading = node.load(model.id, { contextTokens, parallel, engine, keep })
  if (!body.wait) {
    loading.catch((error: unknown) =>
      deps.log.warn({ model: model.id, error }, 'a load in the background failed'),
    )
    return { model: model.id, node: node.id, state: 'loading' }
  }
  await loading
  return { model: model.id, node: node.id, state: 'ready' }
}

async function unload(
  deps: FleetDeps,
  body: z.infer<typeof unloadRequest>,
): Promise<z.infer<typeof unloadResponse>> {
  // Throws model_not_found, with what exists, when no node knows it.
  const { model } = deps.find(body.model)
  const isRunning = (node: NodeHandle) => node.state().running.some(({ id }) => id === model.id)
  const isKept = (node: NodeHandle) =>
    node.state().models.some(({ id, kept }) => id === model.id && kept === true)
  const holders = deps.nodes.filter((node) => isRunning(node) || isKept(node))
  const wasInMemory = holders.some(isRunning)
  if (holders.length === 0) {
    throw new HolonError('not_found', `The model "${model.id}" is not in memory.`, {
      hint: '`holon ps` lists the models that are.',
    })
  }
  await Promise.all(holders.map((node) => node.unload(model.id)))
  return { model: model.id, nodes: holders.map((node) => node.id), wasInMemory }
}
