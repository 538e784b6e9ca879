/** POST /fleet/v1/paces: what the scheduler learned of the machines, for plans that are made elsewhere. */

import type { NodeHandle } from '../../protocol/node.ts'
import { type Paces, pacesRequest, pacesResponse } from '../../protocol/paces.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { modelNames } from '../pools/model-names.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import type { Operation } from './operations.ts'

export interface PaceDeps {
  nodes: readonly NodeHandle[]
  catalogue: Pick<Catalogue, 'find'>
  scheduler: Pick<Scheduler, 'paceOf'>
}

export function paceOperation({ nodes, catalogue, scheduler }: PaceDeps): Operation {
  return {
    method: 'post',
    path: '/fleet/v1/paces',
    summary:
      'How quick the machines turned out to be against what was planned of them, for plans of a model.',
    request: pacesRequest,
    response: pacesResponse,
    run: async (body) => {
      const { model } = pacesRequest.parse(body)
      const names = model === null ? null : modelNames(catalogue, model, nodes)
      const paces: Paces = nodes.flatMap((node) => {
        const pace = scheduler.paceOf(node.id, names?.on(node) ?? '')
        return pace === null ? [] : [{ node: node.id, ...pace, models: [...pace.models] }]
      })
      return { paces }
    },
  }
}
