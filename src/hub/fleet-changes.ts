/** What is worth remembering about a fleet, from two pictures of it: models that became ready, failed or went away. Pure. */
import type { NodeState } from '../protocol/node.ts'

export interface FleetChange {
  /** `model.ready`, `model.restarting`, `model.failed`, `model.unloaded`, `node.gone`, `node.ready`. */
  type: string
  data: Record<string, unknown>
}

type Picture = ReadonlyMap<string, { state: NodeState['state']; models: ReadonlyMap<string, string> }>

export function takePicture(states: readonly NodeState[]): Picture {
  return new Map(
    states.map((node) => [
      node.id,
      { state: node.state, models: new Map(node.models.map((model) => [model.id, model.state])) },
    ]),
  )
}

export function changesSince(before: Picture, now: readonly NodeState[]): FleetChange[] {
  const changes: FleetChange[] = []
  for (const node of now) {
    const old = before.get(node.id)
    if (old?.state !== node.state && node.state !== 'starting') {
      changes.push({ type: `node.${node.state}`, data: { node: node.id, name: node.name } })
    }
    for (const model of node.models) {
      const was = old?.models.get(model.id)
      if (was === model.state) continue
      const data: Record<string, unknown> = { node: node.id, model: model.id }
      if (model.state === 'ready') changes.push({ type: 'model.ready', data })
      else if (model.state === 'failed')
        changes.push({ type: 'model.failed', data: { ...data, why: model.failure } })
      else if (model.state === 'loading' && was === 'ready') changes.push({ type: 'model.restarting', data })
      else if (model.state === 'disk' && was === 'ready') changes.push({ type: 'model.unloaded', data })
    }
  }
  return changes
}
