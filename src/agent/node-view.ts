/** The supervisor's slots in the words of the protocol. Pure. */
import type { ModelInfo, NodeModel, RunningModel } from '../protocol/model.ts'
import type { Histories } from './supervisor/model-history.ts'
import type { Slot } from './supervisor/slot.ts'

type View = Readonly<Slot>

export function nodeModels(
  models: readonly ModelInfo[],
  views: readonly View[],
  histories: Histories,
): NodeModel[] {
  const byId = new Map(views.map((view) => [view.facts.id, view]))
  return models.map((info) => {
    const view = byId.get(info.id)
    const state = view ? stateOf(view) : 'disk'
    const { loadS, prefillTokS, decodeTokS } = histories.of(info.id)
    return {
      ...info,
      measuredLoadS: loadS,
      measuredPrefillTokS: prefillTokS,
      measuredDecodeTokS: decodeTokS,
      state,
      progress: state === 'loading' ? (view?.progress ?? null) : null,
      failure: state === 'failed' ? (view?.failure?.message ?? null) : null,
      ...(view?.kept ? { kept: true } : {}),
    }
  })
}

function stateOf(view: View): NodeModel['state'] {
  switch (view.state) {
    case 'waiting':
    case 'starting':
    case 'backoff':
      return 'loading'
    case 'ready':
    case 'draining':
      return 'ready'
    case 'failed':
      return 'failed'
    case 'stopping':
      return view.waiting.size > 0 ? 'loading' : 'disk'
    case 'absent':
      return 'disk'
  }
}

export function runningModels(views: readonly View[], now: number): RunningModel[] {
  return views
    .filter((view) => ['starting', 'ready', 'draining'].includes(view.state))
    .map((view) => {
      const { running, plan, leases } = view
      const ready = running !== null && view.state !== 'starting'
      return {
        id: view.facts.id,
        engine: running?.engine ?? view.engine ?? '',
        pid: running?.pid ?? null,
        state: ready ? ('ready' as const) : ('loading' as const),
        progress: view.progress,
        contextTokens: running?.contextTokens ?? plan?.contextTokens ?? null,
        parallel: running?.parallel ?? plan?.parallel ?? null,
        threads: running?.threads ?? null,
        memoryBytes: view.residentBytes,
        kept: view.kept,
        active: leases.size,
        decodeTokS: view.decodeTokS,
        prefillTokS: view.prefillTokS,
        loadedAt: ready ? view.readyAt : null,
        idleS: ready && leases.size === 0 ? Math.max(0, (now - view.usedAt) / 1000) : 0,
      }
    })
}
