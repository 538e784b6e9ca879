/** What a caller may use of what was found. Worked out once for each key and finding, so that a choice only looks it up. */
import { HolonError } from '../../core/errors.ts'
import type { Found } from '../catalogue/catalogue.ts'

/** Which models a key names; the same object for as long as the key says the same. */
export interface Scope {
  allows(canonical: string, id: string): boolean
}

export interface Asker {
  readonly name: string
  /** Null: every model that is offered. */
  readonly models: Scope | null
}

export class Permits {
  private readonly kept = new WeakMap<Scope, WeakMap<Found, Found>>()

  /** @throws HolonError key_not_allowed when none of what was found may be used */
  among(found: Found, asker: Asker, asked: string): Found {
    const { models } = asker
    if (models === null) return found
    let byFound = this.kept.get(models)
    if (byFound === undefined) {
      byFound = new WeakMap()
      this.kept.set(models, byFound)
    }
    let permitted = byFound.get(found)
    if (permitted === undefined) {
      const held = found.held.filter(({ placement: { edition, model } }) =>
        models.allows(edition.identity.canonical, model.id),
      )
      permitted = held.length === found.held.length ? found : { held }
      byFound.set(found, permitted)
    }
    if (permitted.held.length > 0 || found.held.length === 0) return permitted
    throw new HolonError(
      'key_not_allowed',
      `The key "${asker.name}" may not use the model "${asked.slice(0, 200)}".`,
      { param: 'model', hint: 'GET /v1/models lists the models that it may use.' },
    )
  }
}
