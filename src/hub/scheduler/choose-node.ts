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

/** Which of a node's models will do, and which of two is of the higher quality. */
export interface Wanted {
  among(models: readonly NodeModel[]): readonly NodeModel[]
  /** Below zero when `a` is the better one. */
  better(a: NodeModel, b: NodeModel): number
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
  let best: Option<Node> | null = null
  const holders = new Set<string>()
  for (const node of nodes) {
    const state = node.state()
    if (state.state === 'gone' || passed.has(node.id)) continue
    for (const model of wanted.among(state.models)) {
      if (model.problem !== null) continue
      holders.add(node.id)
      const fits = model.state === 'ready' || model.sizeBytes <= state.memory.budgetBytes
      // A node that is not trusted now is asked when there is no other.
      const rank = stateRank[model.state] + (state.state === 'ready' ? 0 : lastResort)
      const option = { node, model, rank, fits, busy: busy(node.id, model.id) }
      if (best === null || compare(option, best, wanted) < 0) best = option
    }
  }
  if (best === null) throw notFound(asked, nodes)
  const { node, model } = best
  const served = model.id.toLowerCase() === asked.toLowerCase() ? '' : `; serves ${ascii(model.id)}`
  return { node, model, route: reason(model.state, holders.size, best.busy) + served }
}

interface Option<Node extends Candidate> {
  node: Node
  model: NodeModel
  rank: number
  fits: boolean
  busy: number
}

function compare(a: Option<Candidate>, b: Option<Candidate>, wanted: Wanted): number {
  return (
    a.rank - b.rank || Number(b.fits) - Number(a.fits) || wanted.better(a.model, b.model) || a.busy - b.busy
  )
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
      return model === null ? [] : [model]
    },
    better: () => 0,
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
