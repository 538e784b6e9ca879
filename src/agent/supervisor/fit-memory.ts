/** With what settings a model is loaded, by the memory that models may take. Pure. */
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import type { ModelFacts, Plan, Wish } from './effects.ts'

/** Below this a chat hardly works; it is the last resort before refusing. */
const smallestContext = 512
/** Fewer answers at once are better than a shorter context than this. */
const usefulContext = 2048
/** What a model whose header does not say is taken to have been trained for. */
const unknownContextMax = 4096

/**
 * The settings to load a model with: what was asked for, or the largest usual ones that fit the budget.
 * @throws HolonError invalid_parameter for a context beyond the model's; model_too_big with the numbers
 */
export function fitPlan(
  facts: ModelFacts,
  wish: Wish,
  defaults: { contextTokens: number; parallel: number },
  budgetBytes: number,
): Plan {
  const contextMax = facts.contextMax ?? unknownContextMax
  if (wish.contextTokens !== null && facts.contextMax !== null && wish.contextTokens > facts.contextMax) {
    throw new HolonError(
      'invalid_parameter',
      `${facts.id} was trained for a context of ${facts.contextMax} tokens; ${wish.contextTokens} were asked for.`,
      { param: 'contextTokens', hint: `Ask for at most ${facts.contextMax}.` },
    )
  }
  const options = candidates(wish, Math.min(contextMax, defaults.contextTokens), defaults.parallel)
  for (const { contextTokens, parallel } of options) {
    const needBytes = facts.need(contextTokens, parallel)
    if (needBytes <= budgetBytes) return { contextTokens, parallel, engine: wish.engine, needBytes }
  }
  const smallest = options.at(-1)!
  const need = facts.need(smallest.contextTokens, smallest.parallel)
  throw new HolonError(
    'model_too_big',
    `${facts.id} needs ${formatBytes(need)} with a context of ${smallest.contextTokens} tokens for ` +
      `${smallest.parallel} at once; models may take ${formatBytes(Math.max(0, budgetBytes))} on this machine.`,
  )
}

/** From the best to the least that still makes sense. What was asked for is not bargained with. */
function candidates(
  wish: Wish,
  usualContext: number,
  usualParallel: number,
): { contextTokens: number; parallel: number }[] {
  const contexts = (least: number): number[] =>
    wish.contextTokens !== null ? [wish.contextTokens] : halvings(usualContext, least)
  const parallel = wish.parallel ?? usualParallel
  const first = contexts(usefulContext).map((contextTokens) => ({ contextTokens, parallel }))
  if (wish.parallel !== null) return first
  return [...first, ...contexts(smallestContext).map((contextTokens) => ({ contextTokens, parallel: 1 }))]
}

function halvings(from: number, least: number): number[] {
  const values = [from]
  for (let value = Math.floor(from / 2); value >= least; value = Math.floor(value / 2)) values.push(value)
  return values
}
