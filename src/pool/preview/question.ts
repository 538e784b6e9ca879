/** What a pool is planned for: the model by its header where a member has it, else by its name; its use; the links. */
import type { HolonError } from '../../core/errors.ts'
import { findModel, type LinkSpec, type PlanRequest, readRequest } from '../../planner/index.ts'
import { parseModelName } from '../../planner/names/index.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { ModelHeader } from '../../protocol/model-header.ts'
import type { PoolEngineId } from '../../protocol/pool.ts'
import type { PoolEngine } from '../pool-engine.ts'
import type { Candidate } from './member.ts'

/** How two members reach each other, measured or assumed. */
export interface PairLink {
  spec: LinkSpec
  measured: boolean
  /** What is wrong with it, in words; empty when nothing is. */
  warnings: readonly string[]
  /** Interfaces at both ends, the first machine's first; null when no network joins them. */
  ends: readonly [string, string] | null
}

export interface PoolQuestion {
  /** As people call it. */
  model: string
  contextTokens: number | null
  parallel: number | null
  members: readonly Candidate[]
  link(a: string, b: string): PairLink
  /** Whether a member's own engine has the model: what it holds for a pool's engine may be none that it reads. */
  servesAlone(node: string): boolean
}

/** What the planner calls each distributed engine. */
const plannerNames: Record<PoolEngineId, string> = {
  'llama-rpc': 'llama.cpp RPC',
  mlx: 'mlx',
  exo: 'exo mlx',
  vllm: 'vllm',
  attached: 'llama.cpp RPC',
}

export interface PoolRequest {
  request: PlanRequest
  /** Where the model's shape is from. */
  source: string
}

/**
 * @param engine null for a member's own engine
 * @throws HolonError model_not_found when neither a header nor the name tells the model's shape
 */
export function requestFor(question: PoolQuestion, engine: PoolEngine | null): PoolRequest {
  const { model, contextTokens, parallel, members } = question
  const text = {
    model,
    contextTokens: contextTokens ?? undefined,
    parallel: parallel ?? undefined,
    engine: engine === null ? undefined : plannerNames[engine.id],
  }
  const header = members.map(({ facts }) => facts?.header).find((one) => one != null)
  if (header) return { request: bounded(readRequest(text, header), header), source: 'the header of its file' }
  const told = members.flatMap(({ state }) => state.models).find(({ id }) => id === model)
  const name = nameToPlanBy(model, told)
  const quant = told?.quant ?? undefined
  const request = readRequest({ ...text, model: name, ...(quant === undefined ? {} : { quant }) })
  if (told && told.sizeBytes > 0) {
    const scale = told.sizeBytes / request.weights.total
    const { weights } = request
    const scaled = {
      ...weights,
      total: told.sizeBytes,
      experts: weights.experts * scale,
      lookup: weights.lookup * scale,
      dense: weights.dense * scale,
      head: weights.head * scale,
      how: 'file size' as const,
    }
    return {
      request: { ...request, weights: scaled },
      source: `the facts about ${name}, by the size of its file`,
    }
  }
  return { request, source: `the facts about ${name}` }
}

/** A model nobody lists still has a size. */
function nameToPlanBy(model: string, told: NodeModel | undefined): string {
  const names = [model, parseModelName(model).canonical, told?.name ?? '', told?.naming?.basename ?? '']
  for (const name of names) if (name !== '' && isKnown(name)) return name
  return told?.paramsTotal ? `dense:${(told.paramsTotal / 1e9).toFixed(2)}b` : model
}

function isKnown(name: string): boolean {
  try {
    findModel(name)
    return true
  } catch (thrown) {
    if ((thrown as HolonError).code === 'model_not_found') return false
    throw thrown
  }
}

/** Nobody asked for a longer context than the model has. */
function bounded(request: PlanRequest, header: ModelHeader): PlanRequest {
  const most = header.model.maxContext
  return most === null || request.contextTokens <= most ? request : { ...request, contextTokens: most }
}
