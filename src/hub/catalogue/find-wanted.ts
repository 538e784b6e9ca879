/**
 * Which advertised models a caller's name means. The written rule, first match over the whole fleet:
 *
 * 1. an exact id, unless it is also the canonical name of that very model: then all its variants are meant;
 * 2. an id that differs in case only, where a node has one such;
 * 3. a canonical name;
 * 4. a file name, or the repository it came from;
 * 5. what the text means as a name ("llama3.1:8b"), with the quant when it states one.
 *
 * A condition (`@>=q4`, `@q4_k_m`, `@exact:ID`) then leaves some of them. Which of these answers is the scheduler's
 * choice.
 */
import { HolonError } from '../../core/errors.ts'
import { modelById } from '../../facts/index.ts'
import { nearest } from '../../facts/nearest.ts'
import { type Ask, meetsFloor, parseAsk, type QuantName } from '../../planner/names/index.ts'
import type { Edition, Placement } from './edition.ts'
import type { FleetIndex } from './fleet-index.ts'

type Pick = (index: FleetIndex) => readonly Placement[]

/** Why a placement may not serve this request; null when it may. */
export type Bar = (placement: Placement) => 'offer' | 'pinned' | 'lane' | null

/**
 * @returns where what was asked for is, and may be used; never none
 * @throws HolonError model_not_found with the nearest names; invalid_parameter; model_file_invalid
 */
export function findWanted(asked: string, index: FleetIndex, bar: Bar): readonly Placement[] {
  const usable = (placement: Placement) => placement.model.problem === null && bar(placement) === null
  const first = (picks: readonly Pick[]): Pick | null =>
    picks.find((pick) => pick(index).some(usable)) ?? null

  const whole = first(byName(asked))
  if (whole !== null) return whole(index).filter(usable)
  const ask = parseAsk(asked)
  const named = first([...byName(ask.name), ...byMeaning(ask)])
  if (named === null) throw notFound(ask, index, bar)
  const all = named(index).filter(usable)
  const meets = conditionOf(ask)
  const found = all.filter((placement) => meets(placement))
  if (found.length > 0) return found
  throw noneGoodEnough(asked, all)
}

const holders = (editions: readonly Edition[]): readonly Placement[] =>
  editions.length === 1 ? editions[0]!.holders : editions.flatMap((edition) => edition.holders)

function byName(name: string): Pick[] {
  const lower = name.toLowerCase()
  return [
    (index) => {
      const exact = index.byId(name)
      const isCanonical = exact.length > 0 && exact.every((edition) => edition.identity.canonical === lower)
      return holders(isCanonical ? index.byCanonical(lower) : exact)
    },
    (index) => {
      const close = index.byPlainId(lower)
      return onlyOneOf(holders(close.filter((edition) => edition.identity.canonical !== lower)), close)
    },
    (index) => holders(index.byCanonical(lower)),
    (index) => holders(index.byAlias(lower)),
  ]
}

/** Without the nodes that hold several of these ids, where nobody can tell which is meant. */
function onlyOneOf(found: readonly Placement[], close: readonly Edition[]): readonly Placement[] {
  const ids = new Set(close.map((edition) => edition.id))
  if (ids.size <= 1) return found
  return found.filter(({ node }) => node.placements.filter(({ edition }) => ids.has(edition.id)).length === 1)
}

function byMeaning(ask: Ask): Pick[] {
  return ask.meanings
    .filter((meaning) => !meaning.empty)
    .map(({ canonical, quant }) => {
      const all: Pick = (index) => holders(index.byCanonical(canonical))
      if (quant === null) return all
      const same = hasQuant(quant)
      return (index) => all(index).filter(same)
    })
}

/** "4bit" of one who does not say MLX is MLX's as well. */
function hasQuant(wanted: QuantName): (placement: Placement) => boolean {
  const plain = wanted.label.replace('MLX-', '')
  const mlx = `MLX-${plain}`
  return ({ edition }) => {
    const { quant } = edition.identity
    return quant !== null && (quant.label === plain || quant.label === mlx)
  }
}

function conditionOf(ask: Ask): (placement: Placement) => boolean {
  const { floor, quant, weightsId } = ask
  if (weightsId !== null) return ({ model }) => model.weightsId?.toLowerCase() === weightsId
  if (quant !== null) return hasQuant(quant)
  if (floor !== null)
    return ({ edition }) => meetsFloor(edition.identity.quant, floor) || isNative(edition.identity)
  return () => true
}

/** A model published in four bits (gpt-oss) has no better version: it meets every floor. */
function isNative({ canonical, quant }: Edition['identity']): boolean {
  const native = modelById(canonical)?.native_quant?.toUpperCase()
  const form = quant?.label.replace('MLX-', '').split('-')[0]
  return native !== undefined && form !== undefined && native.startsWith(form)
}

function noneGoodEnough(asked: string, placements: readonly Placement[]): HolonError {
  const known = placements.map(({ model, edition }) => {
    const weights = model.weightsId ? `, weights ${model.weightsId}` : ''
    return `${model.id} (${edition.identity.quant?.label ?? 'unknown quant'}${weights})`
  })
  const list = [...new Set(known)].slice(0, 8).join(', ')
  return new HolonError('model_not_found', `No variant here meets "${asked.slice(0, 200)}".`, {
    param: 'model',
    hint: `Of this model there is ${list}.`,
  })
}

function notFound(ask: Ask, index: FleetIndex, bar: Bar): HolonError {
  const { name } = ask
  const meant = [...byName(name), ...byMeaning(ask)].flatMap((pick) => [...pick(index)])
  const open = meant.filter((placement) => bar(placement) === null)
  const broken = open.find((placement) => placement.model.problem !== null)?.model
  const param = 'model'
  if (broken) {
    const message = `The model "${broken.id}" cannot be used: ${broken.problem}`
    return new HolonError('model_file_invalid', message, { param })
  }
  const shown = name.slice(0, 200)
  const why = meant.map(bar).find((reason) => reason !== null)
  if (why !== undefined) return barred(shown, why, whatIsNear(name, index, bar))
  const message = `There is no model "${shown}" here.`
  return new HolonError('model_not_found', message, { param, hint: whatIsNear(name, index, bar) })
}

function barred(shown: string, why: NonNullable<ReturnType<Bar>>, near: string): HolonError {
  const param = 'model'
  if (why === 'lane') {
    return new HolonError('model_not_found', `The model "${shown}" is not offered on this lane.`, {
      param,
      hint: 'Name its lane with the header x-holon-lane (for experiments also the path /v1/experimental/…); `holon models catalogue` shows the lanes.',
    })
  }
  if (why === 'pinned') {
    return new HolonError(
      'engine_unavailable',
      `The model "${shown}" is pinned to machines that are not here now.`,
      { param, hint: '`holon models catalogue` shows the pins; `holon models unpin` takes them back.' },
    )
  }
  return new HolonError('model_not_found', `The model "${shown}" is not offered here.`, {
    param,
    hint: `The owner offers it with \`holon models offer ${shown}\`. ${near}`,
  })
}

function whatIsNear(name: string, index: FleetIndex, bar: Bar): string {
  const isUsable = (edition: Edition) =>
    edition.holders.some((holder) => holder.model.problem === null && bar(holder) === null)
  const names = [...index.names()].filter((each) => index.byCanonical(each).some(isUsable))
  if (names.length === 0) return 'There is no model at all yet: get one with `holon pull`.'
  if (names.length === 1) return `The only model here is "${names[0]}".`
  const near = nearest(name, names, 5)
  const shown = near.length > 0 ? near : names.slice(0, 5)
  const list = shown.map((one) => `"${one}"`).join(', ')
  const others = names.length - shown.length
  const more = others > 0 ? ` and ${others} more (GET /v1/models)` : ''
  return `${near.length > 0 ? 'The nearest names here are' : 'The models here are'} ${list}${more}.`
}
