/**
 * The speed model in one sentence: a time is a sum of physical terms, each a quantity we can count (bytes over
 * nominal bandwidth, operations over nominal rate, layers, hops) times a fitted factor; a factor is a product of
 * small effects of what is known (chip family, backend, quant class, age of the build ...). An effect nobody has
 * measured is 1, so that an unknown chip gets its family's factor and an unknown family the global one.
 */

export interface Term {
  /** What takes the time: `weights`, `kv`, `layers` ... The fitted factor is looked up under this name. */
  name: string
  /** Seconds before the fitted factor. */
  seconds: number
  /** What is known about the case, coarse to fine. */
  keys: readonly string[]
  /** One sentence for `explain`: what was counted. */
  counted?: string
}

/** Fitted natural logarithms: per term a base and an effect for every key that was seen. */
export type Effects = Readonly<Record<string, { base: number; effects: Readonly<Record<string, number>> }>>

const kept = new WeakMap<Effects, WeakMap<readonly string[], { name: string; value: number }>>()

/** Natural logarithm of a term's factor. Key lists are shared by many terms, so their sums are kept. */
export function logFactor(term: Term, effects: Effects): number {
  let sums = kept.get(effects)
  if (!sums) {
    sums = new WeakMap()
    kept.set(effects, sums)
  }
  const known = sums.get(term.keys)
  if (known?.name === term.name) return known.value
  const fitted = effects[term.name]
  if (!fitted) return 0
  let value = fitted.base
  for (const key of term.keys) value += fitted.effects[key] ?? 0
  sums.set(term.keys, { name: term.name, value })
  return value
}

/** Seconds of all terms together. Never negative, never NaN: a term without a count adds nothing. */
export function totalSeconds(terms: readonly Term[], effects: Effects): number {
  let total = 0
  for (const term of terms) if (term.seconds > 0) total += term.seconds * Math.exp(logFactor(term, effects))
  return total
}
