/**
 * The written rules of `auto`, `auto:fast` and `auto:best`: which model answers when the caller leaves it to the hub. They
 * look at the form of a request, never at what it says. Pure.
 *
 * - `auto:fast`: the earliest predicted finish among models of a thousand million parameters or more, or among all when
 *   there is none.
 * - `auto:best`: the most parameters among models that are in memory, have their turn within 10 s and decode at least as
 *   fast as the lane promises (5 tokens/s on a lane that promises nothing); else among those in memory; else among those
 *   that fit.
 * - `auto`: `auto:best` for a hard request, else `auto:fast`. Hard is: tools, an answer in a given form, reasoning asked
 *   for, a prompt of 2,000 tokens or more, an answer of 2,000 or more.
 *
 * Never a model that cannot do it: embedding and base models, one whose context is too short, one whose engine is known not
 * to honour a parameter. The demonstration model only when there is no other.
 */
import type { ServiceLevel } from '../../protocol/lane.ts'
import type { Tier } from '../../protocol/tier.ts'
import type { Demand } from './demand.ts'
import type { Gauge } from './gauge.ts'

export const hardReasons = ['none', 'tools', 'form', 'reasoning', 'long prompt', 'long answer'] as const
export type HardReason = (typeof hardReasons)[number]

const longTokens = 2_000
const leastParams = 1e9

/** Why a request counts as hard; `none` when it does not. */
export function whyHard(demand: Demand): HardReason {
  if (demand.tools) return 'tools'
  if (demand.form) return 'form'
  if (demand.reasoning) return 'reasoning'
  if (demand.bytes / 4 >= longTokens) return 'long prompt'
  if ((demand.maxTokens ?? 0) >= longTokens) return 'long answer'
  return 'none'
}

/** What `auto` becomes for this request. */
export function tierFor(asked: Tier, demand: Demand): 'auto:fast' | 'auto:best' {
  if (asked !== 'auto') return asked
  return whyHard(demand) === 'none' ? 'auto:fast' : 'auto:best'
}

/** Whether a model can do what is asked, as far as is known. */
export function isAble({ placement, parameters, usual }: Gauge, demand: Demand): boolean {
  const { model } = placement
  if (model.embedding || model.problem !== null) return false
  if (model.contextMax !== null && demand.bytes * usual.tokensPerByte > model.contextMax) return false
  return parameters === null || demand.needs.every((name) => parameters.has(name))
}

/** One model of the fleet, with all its placements. */
export interface Family {
  name: string
  /** Parameters; 0 when nobody says. */
  params: number
  demo: boolean
  gauges: Gauge[]
}

/** Those that a tier may choose from. @param chat base models continue text and follow no chat */
export function eligible(families: readonly Family[], chat: boolean): readonly Family[] {
  const real = families.filter(({ demo, name }) => !demo && !(chat && /-base(~|$)/.test(name)))
  return real.length > 0 ? real : families
}

export function fastFamilies(families: readonly Family[]): readonly Family[] {
  const enough = families.filter(({ params }) => params === 0 || params >= leastParams)
  return enough.length > 0 ? enough : families
}

/** The slowest decode that `auto:best` bears for the sake of size. Tokens per second. */
export const leastDecode = (level: ServiceLevel): number => level.decodeTokS ?? 5
/** And the longest wait. Seconds. */
export const mostWaitS = 10
