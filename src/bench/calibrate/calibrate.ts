import { chips } from '../../facts/index.ts'
import { type Constants, type Effects, type Interval, totalSeconds } from '../../planner/index.ts'
import type { Row } from '../validate/row.ts'
import { fitEffects } from './fit.ts'
import { decodeTarget, prefillTarget, type Target } from './observations.ts'
import { decodePriors, prefillPriors } from './priors.ts'

/**
 * From measured rows to constants, and the cross-validation that says what they are worth on sources and chips they
 * have not seen. Intervals come from the cross-validated errors, so they are as wide as ignorance really is.
 */

export type Fold = 'source' | 'chip'

const FULL_ROUNDS = 40
/** A fold starts from the full fit and settles in a few rounds; started cold it ends in the same place. */
const FOLD_ROUNDS = 10
/** Sources with fewer rows are left out together: one fold for all of them. */
const SMALL_SOURCE = 3

/** Share of measurements the stated interval is meant to hold. */
export const INTERVAL_SHARE = 0.8

/** Chips are left out in this many groups, each of unlike chips, since a hundred single folds teach no more. */
const CHIP_GROUPS = 16

function foldName(row: Row, fold: Fold, counts: ReadonlyMap<string, number>): string {
  if (fold === 'chip') return `chip group ${chipNumbers.get(chipOf(row)) ?? 0}`
  return (counts.get(row.source) ?? 0) < SMALL_SOURCE ? 'small sources' : row.source
}

const chipOf = (row: Row): string => row.setup.members[0]?.hardware.chip.id ?? 'none'
/** The facts list chips by family, so that neighbours fall into different groups. */
const chipNumbers = new Map(chips.map((chip, i) => [chip.id, i % CHIP_GROUPS]))

export interface Held {
  row: Row
  /** Predicted seconds by constants that never saw this row's fold. */
  seconds: number
  measured: number
  chipSeen: boolean
}

export function heldOut(target: Target, full: Effects, fold: Fold, onFold?: (name: string) => void): Held[] {
  const priors = target.name === 'decode' ? decodePriors : prefillPriors
  const counts = new Map<string, number>()
  for (const row of target.rows) counts.set(row.source, (counts.get(row.source) ?? 0) + 1)
  const names = target.rows.map((row) => foldName(row, fold, counts))
  const held: Held[] = []
  for (const name of new Set(names)) {
    onFold?.(`${target.name} without ${name}`)
    const training = target.observations.filter((_, i) => names[i] !== name)
    const effects = fitEffects(training, priors, FOLD_ROUNDS, full)
    const chips = new Set(
      target.rows.filter((_, i) => names[i] !== name).map((row) => row.setup.members[0]?.hardware.chip.id),
    )
    target.rows.forEach((row, i) => {
      if (names[i] !== name) return
      const observation = target.observations[i]!
      held.push({
        row,
        seconds: totalSeconds(observation.terms, effects),
        measured: observation.seconds,
        chipSeen: chips.has(row.setup.members[0]?.hardware.chip.id),
      })
    })
  }
  return held
}

export interface CrossValidated {
  fold: Fold
  decode: Held[]
  prefill: Held[]
}

export function fitAll(rows: readonly Row[]): { decode: Effects; prefill: Effects } {
  return {
    decode: rounded(fitEffects(decodeTarget(rows).observations, decodePriors, FULL_ROUNDS)),
    prefill: rounded(fitEffects(prefillTarget(rows).observations, prefillPriors, FULL_ROUNDS)),
  }
}

export function crossValidate(
  rows: readonly Row[],
  full: { decode: Effects; prefill: Effects },
  fold: Fold,
  onFold?: (name: string) => void,
): CrossValidated {
  return {
    fold,
    decode: heldOut(decodeTarget(rows), full.decode, fold, onFold),
    prefill: heldOut(prefillTarget(rows), full.prefill, fold, onFold),
  }
}

const quantile = (sorted: readonly number[], q: number): number =>
  sorted[Math.min(sorted.length - 1, Math.max(0, Math.round(q * (sorted.length - 1))))] ?? 0

/** Speed ratios (measured over predicted) between which the stated share of held-out rows lies. */
function interval(held: readonly Held[]): Interval {
  const logs = held.map((entry) => Math.log(entry.seconds / entry.measured)).sort((a, b) => a - b)
  const tail = (1 - INTERVAL_SHARE) / 2
  return {
    low: round(Math.exp(quantile(logs, tail))),
    high: round(Math.exp(quantile(logs, 1 - tail))),
    rows: held.length,
  }
}

const round = (value: number): number => Math.round(value * 1e4) / 1e4

function rounded(effects: Effects): Effects {
  return Object.fromEntries(
    Object.entries(effects).map(([term, fitted]) => [
      term,
      {
        base: round(fitted.base),
        effects: Object.fromEntries(
          Object.entries(fitted.effects).map(([key, value]) => [key, round(value)]),
        ),
      },
    ]),
  )
}

export function intervalsFrom(cv: CrossValidated): Constants['intervals'] {
  const solo = (held: readonly Held[]) => held.filter((entry) => entry.row.nodes === 1)
  const pooled = (held: readonly Held[]) => held.filter((entry) => entry.row.nodes > 1)
  const seen = (held: readonly Held[], chipSeen: boolean) =>
    held.filter((entry) => entry.chipSeen === chipSeen)
  return {
    share: INTERVAL_SHARE,
    decode: {
      calibrated: interval(seen(solo(cv.decode), true)),
      modelled: interval(seen(solo(cv.decode), false)),
      pooled: interval(pooled(cv.decode)),
    },
    prefill: {
      calibrated: interval(seen(solo(cv.prefill), true)),
      modelled: interval(seen(solo(cv.prefill), false)),
      pooled: interval(pooled(cv.prefill)),
    },
  }
}
