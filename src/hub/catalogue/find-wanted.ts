/**
 * Which advertised models a caller's name means. The written rule, first match over the whole fleet:
 *
 * 1. an exact id, unless it is also the canonical name of that very model: then all its variants are meant;
 * 2. an id that differs in case only, where a node has one such;
 * 3. a file name, or the repository it came from;
 * 4. the canonical name of what the text means as a name ("llama3.1:8b"), with the quant when it states one.
 *
 * A condition (`@>=q4`, `@q4_k_m`, `@exact:ID`) then leaves some of them. Which of these answers is the scheduler's
 * choice: ready first, then the highest quality that fits, then the least busy.
 */
import { HolonError } from '../../core/errors.ts'
import { modelById } from '../../facts/index.ts'
import { nearest } from '../../facts/nearest.ts'
import { type Ask, meetsFloor, parseAsk, type QuantName } from '../../planner/names/index.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeState } from '../../protocol/node.ts'
import { indexModels, type ModelIndex, type Variant } from './index-models.ts'

type Pick = (index: ModelIndex) => readonly Variant[]

export interface Found {
  /** The variants of one node that were asked for and may be used. */
  among(models: readonly NodeModel[]): readonly Variant[]
}

const none: readonly Variant[] = []

/**
 * @param allowed false for what is not offered
 * @throws HolonError model_not_found with the nearest names; invalid_parameter; model_file_invalid
 */
export function findWanted(
  asked: string,
  states: readonly NodeState[],
  allowed: (variant: Variant) => boolean,
): Found {
  const indexes = states.filter((state) => state.state !== 'gone').map((state) => indexModels(state.models))
  const usable = (variant: Variant) => variant.model.problem === null && allowed(variant)
  const anywhere = (pick: Pick) => indexes.some((index) => pick(index).some(usable))
  const found = (pick: Pick): Found => ({ among: (models) => pick(indexModels(models)).filter(usable) })

  const whole = byName(asked).find(anywhere)
  if (whole) return found(whole)
  const ask = parseAsk(asked)
  const named = [...byName(ask.name), ...byMeaning(ask)].find(anywhere)
  if (!named) throw notFound(ask.name, indexes, usable, allowed)
  const meets = conditionOf(ask)
  const pick: Pick = (index) => named(index).filter(meets)
  if (anywhere(pick)) return found(pick)
  throw noneGoodEnough(
    asked,
    indexes.flatMap((index) => named(index).filter(usable)),
  )
}

function byName(name: string): Pick[] {
  const lower = name.toLowerCase()
  return [
    (index) => {
      const exact = index.byId.get(name) ?? none
      const isCanonical = exact.length > 0 && exact.every((variant) => variant.identity.canonical === lower)
      return isCanonical ? (index.byCanonical.get(lower) ?? none) : exact
    },
    (index) => {
      const close = index.byPlainId.get(lower) ?? none
      return close.length === 1 && close[0]!.identity.canonical !== lower ? close : none
    },
    (index) => index.byCanonical.get(lower) ?? none,
    (index) => index.byAlias.get(lower) ?? none,
  ]
}

function byMeaning(ask: Ask): Pick[] {
  return ask.meanings
    .filter((meaning) => !meaning.empty)
    .map((meaning) => (index) => {
      const variants = index.byCanonical.get(meaning.canonical) ?? none
      return meaning.quant === null
        ? variants
        : variants.filter(({ identity }) => sameQuant(identity.quant, meaning.quant))
    })
}

const sameQuant = (a: QuantName | null, b: QuantName | null): boolean =>
  a !== null && b !== null && a.label.replace('MLX-', '') === b.label.replace('MLX-', '')

function conditionOf(ask: Ask): (variant: Variant) => boolean {
  const { floor, quant, weightsId } = ask
  if (weightsId !== null) return ({ model }) => model.weightsId?.toLowerCase() === weightsId
  if (quant !== null) return ({ identity }) => sameQuant(identity.quant, quant)
  if (floor !== null) return ({ identity }) => meetsFloor(identity.quant, floor) || isNative(identity)
  return () => true
}

/** A model published in four bits (gpt-oss) has no better version: it meets every floor. */
function isNative({ canonical, quant }: Variant['identity']): boolean {
  const native = modelById(canonical)?.native_quant?.toUpperCase()
  const form = quant?.label.replace('MLX-', '').split('-')[0]
  return native !== undefined && form !== undefined && native.startsWith(form)
}

function noneGoodEnough(asked: string, variants: readonly Variant[]): HolonError {
  const known = variants.map(({ model, identity }) => {
    const weights = model.weightsId ? `, weights ${model.weightsId}` : ''
    return `${model.id} (${identity.quant?.label ?? 'unknown quant'}${weights})`
  })
  const list = [...new Set(known)].slice(0, 8).join(', ')
  return new HolonError('model_not_found', `No variant here meets "${asked.slice(0, 200)}".`, {
    param: 'model',
    hint: `Of this model there is ${list}.`,
  })
}

function notFound(
  name: string,
  indexes: readonly ModelIndex[],
  usable: (variant: Variant) => boolean,
  allowed: (variant: Variant) => boolean,
): HolonError {
  const picks = byName(name)
  const meant = indexes.flatMap((index) => picks.flatMap((pick) => [...pick(index)]))
  const broken = meant.find((variant) => variant.model.problem !== null && allowed(variant))?.model
  const param = 'model'
  if (broken) {
    const message = `The model "${broken.id}" cannot be used: ${broken.problem}`
    return new HolonError('model_file_invalid', message, { param })
  }
  const shown = name.slice(0, 200)
  if (meant.some((variant) => !allowed(variant))) {
    return new HolonError('model_not_found', `The model "${shown}" is not offered here.`, {
      param,
      hint: `The owner offers it with \`holon models offer ${shown}\`. ${whatIsNear(name, indexes, usable)}`,
    })
  }
  const message = `There is no model "${shown}" here.`
  return new HolonError('model_not_found', message, { param, hint: whatIsNear(name, indexes, usable) })
}

function whatIsNear(
  name: string,
  indexes: readonly ModelIndex[],
  usable: (variant: Variant) => boolean,
): string {
  const names = [
    ...new Set(
      indexes.flatMap((index) => index.all.filter(usable).map(({ identity }) => identity.canonical)),
    ),
  ]
  if (names.length === 0) return 'There is no model at all yet: get one with `holon pull`.'
  if (names.length === 1) return `The only model here is "${names[0]}".`
  const near = nearest(name, names, 5)
  const shown = near.length > 0 ? near : names.slice(0, 5)
  const list = shown.map((one) => `"${one}"`).join(', ')
  const others = names.length - shown.length
  const more = others > 0 ? ` and ${others} more (GET /v1/models)` : ''
  return `${near.length > 0 ? 'The nearest names here are' : 'The models here are'} ${list}${more}.`
}
