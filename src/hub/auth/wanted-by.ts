/** What a caller may use of what was asked for. */
import { HolonError } from '../../core/errors.ts'
import type { Found } from '../catalogue/catalogue.ts'
import type { Caller } from './caller.ts'
import type { ModelScope } from './model-scope.ts'

/** A key sends many requests for few names. */
const kept = new WeakMap<ModelScope, WeakMap<Found, Found>>()

/** @throws HolonError key_not_allowed when that is nothing */
export function wantedBy(
  { models, name }: Pick<Caller, 'models' | 'name'>,
  asked: string,
  found: Found,
): Found {
  if (models === null) return found
  let ofScope = kept.get(models)
  if (ofScope === undefined) {
    ofScope = new WeakMap()
    kept.set(models, ofScope)
  }
  let permitted = ofScope.get(found)
  if (permitted === undefined) {
    permitted = {
      held: found.held.filter(({ placement: { edition, model } }) =>
        models.allows(edition.identity.canonical, model.id),
      ),
    }
    ofScope.set(found, permitted)
  }
  if (permitted.held.length > 0) return permitted
  throw new HolonError(
    'key_not_allowed',
    `The key "${name}" may not use the model "${asked.slice(0, 200)}".`,
    { param: 'model', hint: 'GET /v1/models lists the models that it may use.' },
  )
}

/**
 * What looks for a model finds, for whoever may not know of all: the help that an error gives names models that stand near,
 * and told the holder of a narrow key what else there is.
 */
export function withoutOthers<T>(models: unknown, find: () => T): T {
  if (models == null) return find()
  try {
    return find()
  } catch (thrown) {
    if (!(thrown instanceof HolonError) || thrown.code !== 'model_not_found') throw thrown
    const hint = 'GET /v1/models lists the models that this key may use.'
    throw new HolonError('model_not_found', thrown.message, { param: 'model', hint })
  }
}
