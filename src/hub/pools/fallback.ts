/** The node that answers with the declared other model while a pool cannot: one that has it loaded, else one that can. */
import type { NodeHandle } from '../../protocol/node.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { modelNames } from './model-names.ts'
import type { Delegate } from './pool-node.ts'

export function fallbackOn(
  model: string,
  catalogue: Pick<Catalogue, 'find'>,
  nodes: readonly NodeHandle[],
): Delegate | null {
  const named = nodes.filter(isMachine).flatMap((node) => {
    if (node.state().state !== 'ready') return []
    const names = modelNames(catalogue, model, [node])
    return names.model === null ? [] : [{ node, model: names.on(node) }]
  })
  const isLoaded = (one: Delegate) =>
    one.node.state().running.some(({ id, state }) => id === one.model && state === 'ready')
  return named.find(isLoaded) ?? named[0] ?? null
}

/** Not through another pool, which might fall back to this one. */
export function isMachine(node: NodeHandle): boolean {
  return !node.id.startsWith('pool:')
}
