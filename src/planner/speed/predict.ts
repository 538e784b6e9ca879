import { type Constants, type Interval, constants as shipped } from '../constants.ts'
import { decodeTerms, prefillTerms } from './pool.ts'
import type { Setup } from './setup.ts'
import { logFactor, type Term, totalSeconds } from './terms.ts'

/** Speeds from terms: expected value, honest range, how it was got, and every term unfolded on request. */

export type Basis = 'measured' | 'calibrated' | 'modelled'

export interface Range {
  expected: number
  low: number
  high: number
}

/** One line of an explanation: what was counted, times which fitted factor, makes how many seconds. */
export interface Part {
  term: string
  counted: string
  countedSeconds: number
  factor: number
  seconds: number
  share: number
}

export interface Speed {
  tokS: Range
  seconds: number
  basis: Basis
}

function basisOf(terms: readonly Term[], effects: Constants['decode'], name: string): Basis {
  const main = terms.find((term) => term.name === name)
  const chip = main?.keys.find((key) => key.startsWith('chip:'))
  return chip !== undefined && effects[name]?.effects[chip] !== undefined ? 'calibrated' : 'modelled'
}

/** One machine's own answers of this very model are better than any calculation. */
function isMeasured({ members: [member, ...others] }: Setup, kind: 'decode' | 'prefill'): boolean {
  const pace = others.length === 0 ? member?.pace : null
  return pace?.ofThisModel === true && pace[kind] !== null
}

function range(expected: number, interval: Interval | undefined): Range {
  const low = interval?.low ?? 0.6
  const high = interval?.high ?? 1.5
  return { expected, low: expected * Math.min(1, low), high: expected * Math.max(1, high) }
}

const intervalKind = (setup: Setup, basis: Basis) =>
  setup.members.length > 1 ? 'pooled' : basis === 'modelled' ? 'modelled' : 'calibrated'

/** Tokens per second of all sequences together while decoding. */
export function decodeSpeed(setup: Setup, shares?: readonly number[], constants: Constants = shipped): Speed {
  const terms = decodeTerms(setup, shares)
  const seconds = totalSeconds(terms, constants.decode)
  const basis = isMeasured(setup, 'decode') ? 'measured' : basisOf(terms, constants.decode, 'weights')
  return {
    tokS: range(setup.batch / seconds, constants.intervals.decode[intervalKind(setup, basis)]),
    seconds,
    basis,
  }
}

/** Prompt tokens per second of all sequences together. */
export function prefillSpeed(
  setup: Setup,
  shares?: readonly number[],
  constants: Constants = shipped,
): Speed {
  const terms = prefillTerms(setup, shares)
  const seconds = totalSeconds(terms, constants.prefill)
  const basis = isMeasured(setup, 'prefill')
    ? 'measured'
    : basisOf(terms, constants.prefill, 'prefill.compute')
  return {
    tokS: range(
      (setup.promptTokens * setup.batch) / seconds,
      constants.intervals.prefill[intervalKind(setup, basis)],
    ),
    seconds,
    basis,
  }
}

/** The terms of a step, largest first, with the figures a sceptic needs to redo the sum. */
export function explainTerms(terms: readonly Term[], effects: Constants['decode']): Part[] {
  const total = totalSeconds(terms, effects)
  return terms
    .filter((term) => term.seconds > 0)
    .map((term) => {
      const factor = Math.exp(logFactor(term, effects))
      const seconds = term.seconds * factor
      return {
        term: term.name,
        counted: term.counted ?? term.name,
        countedSeconds: term.seconds,
        factor,
        seconds,
        share: seconds / total,
      }
    })
    .sort((a, b) => b.seconds - a.seconds)
}
