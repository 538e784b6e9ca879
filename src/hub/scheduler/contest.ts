/**
 * One choice among the placements that hold a model: the earliest predicted finish, after the written order of classes.
 * No garbage and no I/O: this runs for every candidate of every request.
 *
 * A candidate's class, lower first: a node that is not trusted now comes after all others (8); then a model whose last load
 * failed (4); then one that does not fit the memory, or whose context is too short (2); then, on a lane it was not offered
 * to by name, one beside those that were (1). Within a class:
 *
 * - what is in memory competes by finish time and quality: one bit of quality may take a fifth longer;
 * - what must be loaded competes so among itself, where one bit may take twice as long, and with what is in memory by
 *   finish time alone: no model is loaded for its quality while another variant can answer;
 * - a background placement is taken when no other can, or when all others are busy or cold beyond the lane's level and it
 *   finishes earlier.
 */
import type { ServiceLevel } from '../../protocol/lane.ts'
import type { Gauge } from './gauge.ts'
import { type HotNumbers, hot } from './hot-numbers.ts'
import { newTerms, predictFinish, type Size, type Terms } from './predict-finish.ts'

export interface Entrants {
  readonly gauges: readonly Gauge[]
  /** Where their numbers are. */
  readonly places: Int32Array
  /** 1 for those in the background. */
  readonly background: Uint8Array
  /** 1 for those that were not offered to the lane by name. */
  readonly ordinary: Uint8Array
}

export interface Rules {
  numbers: HotNumbers
  size: Size
  /** Marks the gauges whose cached tokens were noted for this choice. */
  mark: number
  nowS: number
  level: ServiceLevel
  /** Brings a gauge up to date whose numbers are due. */
  refresh: (gauge: Gauge) => void
  /** Ids of nodes that failed this request already. */
  passed: ReadonlySet<string>
  /** Leaves out what cannot do what the request needs; null when all can. */
  able: ((gauge: Gauge) => boolean) | null
}

/** The nearest are remembered, to explain the choice by. */
export const mostRemembered = 8
const noRank = 99
/** The class of a model that is not in memory and exceeds all of what models may take on the machine. */
export const tooBig = 2

/** The outcome; one object, used again for every choice. */
export class Verdict {
  /** Index of the winner, -1 when nobody could be chosen. */
  winner = -1
  rank = noRank
  /** Of the winner. */
  readonly terms: Terms = newTerms()
  keepsLevel = false
  /** Entrants that could have answered. */
  considered = 0
  /** The nearest by class and score, the first ones first; not always the winner first. */
  readonly nearest = new Int32Array(mostRemembered)
  readonly keys = new Float64Array(mostRemembered)
  remembered = 0
}

/** In memory, to be loaded, and the same in the background. */
const ranks = new Float64Array(4)
const scores = new Float64Array(4)
const finishes = new Float64Array(4)
const winners = new Int32Array(4)
const scratch = newTerms()

export function holdContest(entrants: Entrants, rules: Rules, verdict: Verdict): void {
  const { gauges, places, background, ordinary } = entrants
  const { numbers, size, mark, nowS, refresh, passed, able } = rules
  const hasPassed = passed.size > 0
  ranks.fill(noRank)
  winners.fill(-1)
  verdict.considered = 0
  verdict.remembered = 0
  for (let index = 0; index < gauges.length; index++) {
    const at = places[index]!
    if (nowS >= numbers.gauges.values[at + hot.dueS]!) refresh(gauges[index]!)
    if (hasPassed && isNoSecondTry(gauges[index]!, passed)) continue
    if (able !== null && !able(gauges[index]!)) continue
    verdict.considered++
    predictFinish(numbers, at, size, mark, nowS, scratch)
    const { values } = numbers.gauges
    const isTooLong = scratch.promptTokens > values[at + hot.contextTokens]!
    const rank = (isTooLong ? values[at + hot.rank]! | 2 : values[at + hot.rank]!) + ordinary[index]!
    const isCold = values[at + hot.cold] !== 0
    const group = background[index]! * 2 + (isCold ? 1 : 0)
    const score = scoreOf(values[at + hot.worth]!, scratch, isCold)
    remember(
      verdict,
      index,
      rank * 1e9 + background[index]! * 1e8 + (isCold ? 1e7 : 0) + Math.min(score, 1e6),
    )
    if (rank > ranks[group]! || (rank === ranks[group] && score >= scores[group]!)) continue
    ranks[group] = rank
    scores[group] = score
    finishes[group] = scratch.finishS
    winners[group] = index
  }
  settle(entrants, rules, verdict)
}

/**
 * It failed this request already, or would surely refuse to load the model: the caller would be told that the model is too
 * big for a machine, and not what broke where it does run.
 */
function isNoSecondTry(gauge: Gauge, passed: ReadonlySet<string>): boolean {
  return passed.has(gauge.placement.node.handle.id) || (gauge.get('rank') & tooBig) !== 0
}

/** A load serves many requests, so a bit of quality may take twice as long there. Seconds. */
export function scoreOf(worth: number, { finishS }: Terms, isCold: boolean): number {
  return isCold ? finishS / worth ** 4 : finishS / worth
}

/** Keeps the nearest in order. Most candidates are far off, and cost one comparison. */
function remember(verdict: Verdict, index: number, key: number): void {
  const { keys, nearest } = verdict
  let at = verdict.remembered
  if (at === mostRemembered) {
    if (key >= keys[at - 1]!) return
    at--
  } else verdict.remembered++
  while (at > 0 && keys[at - 1]! > key) {
    keys[at] = keys[at - 1]!
    nearest[at] = nearest[at - 1]!
    at--
  }
  keys[at] = key
  nearest[at] = index
}

function settle(entrants: Entrants, rules: Rules, verdict: Verdict): void {
  const primary = nearer(0, 1)
  const background = nearer(2, 3)
  const first = winners[primary] === -1 ? background : primary
  predictWinner(entrants, rules, verdict, first)
  if (winners[primary] === -1 || winners[background] === -1) return
  const { waitS, loadS } = verdict.terms
  const isBusy = !verdict.keepsLevel && waitS + loadS > 0
  const isBetter = ranks[background] === ranks[primary] && finishes[background]! < finishes[primary]!
  if (ranks[background]! < ranks[primary]! || (isBusy && isBetter)) {
    predictWinner(entrants, rules, verdict, background)
  }
}

function nearer(warm: number, cold: number): number {
  if (ranks[warm]! !== ranks[cold]!) return ranks[warm]! < ranks[cold]! ? warm : cold
  return finishes[warm]! <= finishes[cold]! || winners[cold] === -1 ? warm : cold
}

function predictWinner({ places }: Entrants, rules: Rules, verdict: Verdict, group: number): void {
  verdict.winner = winners[group]!
  verdict.rank = ranks[group]!
  if (verdict.winner === -1) return
  predictFinish(rules.numbers, places[verdict.winner]!, rules.size, rules.mark, rules.nowS, verdict.terms)
  verdict.keepsLevel = keepsLevel(verdict.terms, rules.level, rules.size.generates)
}

export function keepsLevel(terms: Terms, level: ServiceLevel, generates: boolean): boolean {
  if (level.firstTokenS !== null && terms.firstTokenS > level.firstTokenS) return false
  return !generates || level.decodeTokS === null || terms.decodeTokS >= level.decodeTokS
}
