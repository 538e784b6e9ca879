import { HolonError } from '../core/errors.ts'
import { type Constants, constants as shipped } from './constants.ts'
import { decodeTerms } from './speed/pool.ts'
import type { Setup } from './speed/setup.ts'
import { totalSeconds } from './speed/terms.ts'

/**
 * Speculative decoding: a small model drafts a few tokens, the large one checks them in one step. Worth it only when
 * the draft is right often and cheap, and less so for mixtures of experts, since every checked token brings experts
 * of its own from memory.
 */

export interface Draft {
  /** Tokens drafted per step. */
  tokens: number
  /** Chance that a drafted token is accepted when those before it were, 0 to 1. */
  acceptance: number
  /** Time of one drafted token as a share of one plain step of the large model. */
  cost: number
}

export interface Speculation {
  draft: Draft
  /** Tokens that one step yields on average, the large model's own included. */
  tokensPerStep: number
  /** Time of the checking step over a plain one; above 1 by arithmetic and by further experts. */
  verifyCost: number
  /** Over plain decode; below 1 it slows things down. */
  speedup: number
  because: string
}

/** "4:0.7:0.1" is four tokens, accepted with 70 %, each at a tenth of a step. @throws HolonError invalid_parameter */
export function parseDraft(text: string): Draft {
  const parts = text.split(':').map(Number)
  const [tokens, acceptance, cost] = parts
  const sane =
    parts.length === 3 &&
    Number.isInteger(tokens) &&
    (tokens as number) >= 1 &&
    (tokens as number) <= 64 &&
    (acceptance as number) >= 0 &&
    (acceptance as number) <= 1 &&
    (cost as number) >= 0 &&
    (cost as number) <= 10
  if (!sane)
    throw new HolonError('invalid_parameter', `"${text}" is not TOKENS:ACCEPTANCE:COST.`, {
      param: 'draft',
      hint: 'For example --draft 4:0.7:0.1 for 4 drafted tokens, each accepted with 70 %, each at a tenth of a step.',
    })
  return { tokens: tokens as number, acceptance: acceptance as number, cost: cost as number }
}

/** Tokens per step of `tokens` drafted ones: 1 + a + a^2 + ... + a^tokens. */
export function expectedTokens(draft: Draft): number {
  let sum = 1
  let chance = 1
  for (let i = 0; i < draft.tokens; i++) {
    chance *= draft.acceptance
    sum += chance
  }
  return sum
}

/** Seconds of a step that checks `tokens` drafted ones: their experts and arithmetic count, the cache is read once. */
function verifySeconds(
  setup: Setup,
  shares: readonly number[],
  tokens: number,
  constants: Constants,
): number {
  const width = tokens + 1
  const terms = decodeTerms({ ...setup, batch: setup.batch * width }, shares).map((term) =>
    term.name === 'kv' ? { ...term, seconds: term.seconds / width } : term,
  )
  return totalSeconds(terms, constants.decode)
}

export function speculation(
  setup: Setup,
  shares: readonly number[],
  draft: Draft,
  constants: Constants = shipped,
): Speculation {
  const plain = totalSeconds(decodeTerms(setup, shares), constants.decode)
  const verifyCost = Math.max(1, verifySeconds(setup, shares, draft.tokens, constants) / plain)
  const tokensPerStep = expectedTokens(draft)
  const speedup = tokensPerStep / (verifyCost + draft.tokens * draft.cost)
  const percent = Math.round(Math.abs(speedup - 1) * 100)
  return {
    draft,
    tokensPerStep,
    verifyCost,
    speedup,
    because: `${tokensPerStep.toFixed(2)} tokens a step of ${(verifyCost + draft.tokens * draft.cost).toFixed(2)} times the time (checking ${verifyCost.toFixed(2)}${setup.model.moe ? ', experts of every drafted token included' : ''}, drafting ${(draft.tokens * draft.cost).toFixed(2)}): ${percent} % ${speedup >= 1 ? 'faster' : 'slower'}`,
  }
}
