/** The models that a key gets to see: those that are offered on its lanes and that its scope lets through. */
import type { Catalogue } from '../catalogue/catalogue.ts'
import { offeredModels } from '../catalogue/list-models.ts'
import type { Caller } from './caller.ts'

/** Whether a caller may know of a model, by the id that its node advertises. */
export function visibleTo(
  catalogue: Catalogue,
  { models, lanes }: Pick<Caller, 'models' | 'lanes'>,
): (id: string) => boolean {
  if (models === null) return () => true
  const seen = lanes.flatMap((lane) => offeredModels(catalogue, { lane, permitted: models }))
  const ids = new Set(seen.flatMap(({ variants }) => variants.map(({ id }) => id)))
  return (id) => ids.has(id)
}

export function seesNothing(
  catalogue: Catalogue,
  { models, lanes }: Pick<Caller, 'models' | 'lanes'>,
): boolean {
  return lanes.every((lane) => offeredModels(catalogue, { lane, permitted: models }).length === 0)
}
