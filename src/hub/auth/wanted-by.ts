/** What a caller may use of what was asked for. */
import { HolonError } from '../../core/errors.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { indexModels } from '../catalogue/index-models.ts'
import type { Wanted } from '../scheduler/choose-node.ts'
import type { Caller } from './caller.ts'

/** @throws HolonError key_not_allowed when that is nothing; what the catalogue throws */
export function wantedBy(
  caller: Caller,
  asked: string,
  nodes: readonly NodeHandle[],
  catalogue: { wanted(asked: string): Wanted },
): Wanted {
  const wanted = catalogue.wanted(asked)
  const { models } = caller
  if (models === null) return wanted
  const permitted: Wanted = {
    among: (list) =>
      wanted.among(list).filter(({ model }) => models.allows(canonicalOf(list, model), model.id)),
  }
  if (nodes.some((node) => permitted.among(node.state().models).length > 0)) return permitted
  // A model that nobody has is told as missing, by whoever chooses a node.
  if (nodes.every((node) => wanted.among(node.state().models).length === 0)) return wanted
  throw new HolonError(
    'key_not_allowed',
    `The key "${caller.name}" may not use the model "${asked.slice(0, 200)}".`,
    { param: 'model', hint: 'GET /v1/models lists the models that it may use.' },
  )
}

function canonicalOf(list: readonly NodeModel[], model: NodeModel): string {
  return indexModels(list).byId.get(model.id)?.[0]?.identity.canonical ?? model.id.toLowerCase()
}
