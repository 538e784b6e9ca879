/**
 * Which node answers, and why. Pure: the nodes' states and the hub's own counts in, a choice with its reason out.
 */
import { HolonError } from '../../core/errors.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeState } from '../../protocol/node.ts'

/** What the scheduler needs to see of a node. */
export interface Candidate {
  readonly id: string
  readonly name: string
  state(): NodeState
}

/** A model that will do. Of two, the one of higher quality is the better answer. */
export interface Suitable {
  readonly model: NodeModel
  readonly quality: number
}

/** Which of a node's models will do for what was asked. */
export interface Wanted {
  among(models: readonly NodeModel[]): readonly Suitable[]
}

export interface Choice<Node extends Candidate> {
  node: Node
  /** The model's own id on that node, which may differ from what was asked in case only. */
  model: NodeModel
  /** Why this node, for `x-holon-route`. ASCII. */
  route: string
}

/** Lower is better: a model in memory before one on its way, before one on disk, before one that failed to load. */
const stateRank: Record<NodeModel['state'], number> = { ready: 0, loading: 1, disk: 2, failed: 3 }
const stateReason: Record<NodeModel['state'], string> = {
  ready: 'ready',
  loading: 'loading',
  disk: 'loads from disk',
  failed: 'tries again after a failed load',
}

const lastResort = 10
const nobody: ReadonlySet<string> = new Set()

/**
 * Ready first, then what fits the node's memory, then the highest quality, then the least busy.
 * @param busy requests of this hub at a node for a model, in flight and waiting
 * @param wanted by default the one model whose id was asked for
 * @param passed ids of nodes that failed this request already
 * @throws HolonError model_not_found, model_file_invalid, engine_unavailable
 */
export function chooseNode<Node extends Candidate>(
  asked: string,
  nodes: readonly Node[],
  busy: (nodeId: string, model: string) => number,
  wanted: Wanted = exactly(asked),
  passed: ReadonlySet<string> = nobody,
): Choice<Node> {
  const best = {
    node: null as Node | null,
    model: null as NodeModel | null,
    rank: noRank,
    quality: 0,
    busy: 0,
  }
  let holders = 0
  for (const node of nodes) {
    const state = node.state()
    if (state.state === 'gone' || passed.has(node.id)) continue
    let holds = false
    for (const { model, quality } of wanted.among(state.models)) {
      if (model.problem !== null) continue
      holds = true
      // A node that is not trusted now is asked when there is no other.
      const rank = rankOf(model, state.memory.budgetBytes) + (state.state === 'ready' ? 0 : lastResort)
      if (rank > best.rank || (rank === best.rank && quality < best.quality)) continue
      const load = busy(node.id, model.id)
      if (rank === best.rank && quality === best.quality && load >= best.busy) continue
      Object.assign(best, { node, model, rank, quality, busy: load })
    }
    if (holds) holders++
  }
  const { node, model } = best
  if (node === null || model === null) throw notFound(asked, nodes)
  const served = model.id.toLowerCase() === asked.toLowerCase() ? '' : `; serves ${ascii(model.id)}`
  return { node, model, route: reason(model.state, holders, best.busy) + served }
}

const noRank = 99

/** What is not in memory yet must fit into it; what does not comes last among its like. */
function rankOf(model: NodeModel, budgetBytes: number): number {
  const fits = model.state === 'ready' || model.sizeBytes <= budgetBytes
  return stateRank[model.state] * 2 + (fits ? 0 : 1)
}

const ascii = (text: string): string => text.replace(/[^\x20-\x7e]/g, '?').slice(0, 120)

function reason(state: NodeModel['state'], holders: number, busy: number): string {
  if (holders === 1) return `${stateReason[state]}; only node with this model`
  return `${stateReason[state]}; least busy of ${holders} (${busy} before)`
}

function exactly(asked: string): Wanted {
  return {
    among: (models) => {
      const model = findModel(models, asked)
      return model === null ? [] : [{ model, quality: 0 }]
    },
  }
}

/** The exact id first, then one that differs in case only, when it is the only such one. */
function findModel(models: readonly NodeModel[], asked: string): NodeModel | null {
  for (const model of models) if (model.id === asked) return model
  const lower = asked.toLowerCase()
  const close = models.filter((model) => model.id.toLowerCase() === lower)
  return close.length === 1 ? close[0]! : null
}

function notFound(asked: string, nodes: readonly Candidate[]): HolonError {
  const ids = new Set<string>()
  for (const node of nodes) {
    const state = node.state()
    const broken = state.models.find((model) => model.id === asked && model.problem !== null)
    if (broken) {
      return new HolonError('model_file_invalid', `The model "${asked}" cannot be used: ${broken.problem}`, {
        param: 'model',
      })
    }
    if (state.state === 'gone') continue
    for (const model of state.models) if (model.problem === null) ids.add(model.id)
  }
  return new HolonError('model_not_found', `There is no model "${asked.slice(0, 200)}" here.`, {
    param: 'model',
    hint: whatExists([...ids]),
  })
}

export function whatExists(ids: readonly string[]): string {
  if (ids.length === 0) return 'There is no model at all yet: get one with `holon pull`.'
  if (ids.length === 1) return `The only model here is "${ids[0]}".`
  const shown = ids.slice(0, 8).map((id) => `"${id}"`)
  const more = ids.length > 8 ? ` and ${ids.length - 8} more` : ''
  return `The models here are ${shown.join(', ')}${more}.`
}
