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

/** Natural logarithm of a term's factor. */
export function logFactor(term: Term, effects: Effects): number {
  const fitted = effects[term.name]
  if (!fitted) return 0
  let sum = fitted.base
  for (const key of term.keys) sum += fitted.effects[key] ?? 0
  return sum
}

/** Seconds of all terms together. Never negative, never NaN: a term without a count adds nothing. */
export function totalSeconds(terms: readonly Term[], effects: Effects): number {
  let total = 0
  for (const term of terms) if (term.seconds > 0) total += term.seconds * Math.exp(logFactor(term, effects))
  return total
}

/** Share of the keys of the heaviest term that the fit has seen: tells measured territory from extrapolation. */
export function unseenKeys(terms: readonly Term[], effects: Effects, prefix: string): boolean {
  const heaviest = terms.reduce((a, b) => (b.seconds > a.seconds ? b : a), terms[0]!)
  const key = heaviest.keys.find((candidate) => candidate.startsWith(prefix))
  return key === undefined || effects[heaviest.name]?.effects[key] === undefined
}
