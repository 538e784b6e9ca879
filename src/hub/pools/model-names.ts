/** How the members of a pool call the model that was asked for: ids differ from machine to machine. */
import { HolonError } from '../../core/errors.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'

export interface ModelNames {
  /** The model as a member that has it describes it; null when none of them advertises it. */
  model: NodeModel | null
  on(node: NodeHandle): string
}

/**
 * Of several variants the best that a member has is meant, and everywhere the same one.
 * @throws HolonError invalid_parameter
 */
export function modelNames(
  catalogue: Pick<Catalogue, 'find'>,
  asked: string,
  members: readonly NodeHandle[],
): ModelNames {
  const ids = new Set(members.map(({ id }) => id))
  const held = placements(catalogue, asked).filter(
    ({ node, model }) => ids.has(node.handle.id) && model.problem === null,
  )
  const best = held.reduce<(typeof held)[number] | null>(
    (found, one) => (found === null || one.edition.quality > found.edition.quality ? one : found),
    null,
  )
  const same = held.filter(
    ({ edition, model }) => edition === best?.edition || sameWeights(model, best?.model),
  )
  return {
    model: best?.model ?? null,
    on: (node) =>
      same.find((placement) => placement.node.handle.id === node.id)?.model.id ?? best?.model.id ?? asked,
  }
}

function placements(catalogue: Pick<Catalogue, 'find'>, asked: string) {
  try {
    return catalogue.find(asked, null).held.map(({ placement }) => placement)
  } catch (thrown) {
    // Engines that keep models of their own may know what no node advertises: they are asked.
    if (thrown instanceof HolonError && thrown.code === 'model_not_found') return []
    throw thrown
  }
}

const sameWeights = (one: NodeModel, other: NodeModel | undefined): boolean =>
  other?.weightsId != null && one.weightsId === other.weightsId
