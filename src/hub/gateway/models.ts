/** GET /v1/models: what can be asked for, in OpenAI's shape, with where it is under a key of our own. */
import { HolonError } from '../../core/errors.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { whatExists } from '../scheduler/choose-node.ts'

export interface ModelRow {
  id: string
  object: 'model'
  /** Seconds since the epoch. Files carry no such date; the hub's start stands in, as clients require a number. */
  created: number
  owned_by: string
  holon: {
    state: NodeModel['state']
    nodes: string[]
    embedding: boolean
    demo: boolean
    quant: string | null
    sizeBytes: number
    contextMax: number | null
  }
}

const better: NodeModel['state'][] = ['ready', 'loading', 'disk', 'failed']

export function listModels(nodes: readonly NodeHandle[], created: number): ModelRow[] {
  const rows = new Map<string, ModelRow>()
  for (const node of nodes) {
    const state = node.state()
    if (state.state === 'gone') continue
    for (const model of state.models) {
      if (model.problem !== null) continue
      const row = rows.get(model.id)
      if (!row) rows.set(model.id, toRow(model, node.name, created))
      else {
        row.holon.nodes.push(node.name)
        if (better.indexOf(model.state) < better.indexOf(row.holon.state)) row.holon.state = model.state
      }
    }
  }
  return [...rows.values()]
}

function toRow(model: NodeModel, node: string, created: number): ModelRow {
  return {
    id: model.id,
    object: 'model',
    created,
    owned_by: 'holon',
    holon: {
      state: model.state,
      nodes: [node],
      embedding: model.embedding,
      demo: model.demo,
      quant: model.quant,
      sizeBytes: model.sizeBytes,
      contextMax: model.contextMax,
    },
  }
}

/** @throws HolonError model_not_found */
export function describeModel(nodes: readonly NodeHandle[], created: number, id: string): ModelRow {
  const rows = listModels(nodes, created)
  const row = rows.find((candidate) => candidate.id === id)
  if (row) return row
  throw new HolonError('model_not_found', `There is no model "${id.slice(0, 200)}" here.`, {
    param: 'model',
    hint: whatExists(rows.map((candidate) => candidate.id)),
  })
}
