import type { Effects, Term } from '../../planner/index.ts'

/**
 * Fits the effects of the speed model: the most probable logarithms given the measurements and the prior that every
 * effect is small (an effect is 0 until data says otherwise: that is the shrinkage from chip to family to global).
 * Gauss-Newton with Levenberg damping on log time, errors weighted down beyond a few tens of percent (Cauchy), so
 * that a throttled or misreported run cannot bend the rest. Deterministic: no random numbers, fixed iterations.
 */

export interface Observation {
  terms: readonly Term[]
  /** Seconds measured. */
  seconds: number
  weight: number
}

export interface Priors {
  /** Per term: the factor's logarithm before data, and how sure we are (standard deviation). */
  base: Readonly<Record<string, { mean: number; sd: number }>>
  /** Standard deviation of an effect by the part of its key before the colon or slash. */
  sd: (term: string, key: string) => number
  /** Logarithm an effect is drawn to before data; 0 where nothing says otherwise. */
  mean?: (term: string, key: string) => number
  /** Scale of an ordinary error, log. */
  noise: number
}

export function fitEffects(
  observations: readonly Observation[],
  priors: Priors,
  rounds = 40,
  start: Effects | null = null,
): Effects {
  const names: { term: string; key: string | null; mean: number; precision: number }[] = []
  const index = new Map<string, number>()
  const idOf = (term: string, key: string | null): number => {
    const name = key === null ? term : `${term}|${key}`
    const known = index.get(name)
    if (known !== undefined) return known
    const prior = priors.base[term] ?? { mean: 0, sd: 1 }
    const sd = key === null ? prior.sd : priors.sd(term, key)
    names.push({
      term,
      key,
      mean: key === null ? prior.mean : (priors.mean?.(term, key) ?? 0),
      precision: 1 / (sd * sd),
    })
    index.set(name, names.length - 1)
    return names.length - 1
  }
  const rows = observations.map((observation) => ({
    target: Math.log(observation.seconds),
    weight: observation.weight,
    terms: observation.terms
      .filter((term) => term.seconds > 0)
      .map((term) => ({
        seconds: term.seconds,
        ids: Int32Array.from([idOf(term.name, null), ...term.keys.map((key) => idOf(term.name, key))]),
      })),
  }))
  const size = names.length
  let theta = Float64Array.from(names, ({ term, key, mean }) => {
    const known = key === null ? start?.[term]?.base : start?.[term]?.effects[key]
    return known ?? mean
  })
  let damping = 1e-3
  let current = objective(theta)

  function predict(row: (typeof rows)[number], at: Float64Array, parts: number[]): number {
    let total = 0
    for (let t = 0; t < row.terms.length; t++) {
      const term = row.terms[t]!
      let sum = 0
      for (const id of term.ids) sum += at[id]!
      parts[t] = term.seconds * Math.exp(sum)
      total += parts[t]!
    }
    return total
  }
  /** Cauchy loss plus priors. */
  function objective(at: Float64Array): number {
    let loss = 0
    const parts: number[] = []
    for (const row of rows) {
      const error = (Math.log(predict(row, at, parts)) - row.target) / priors.noise
      loss += row.weight * 2 * Math.log1p((error * error) / 4)
    }
    for (let i = 0; i < size; i++) loss += 0.5 * names[i]!.precision * (at[i]! - names[i]!.mean) ** 2
    return loss
  }

  for (let round = 0; round < rounds; round++) {
    const hessian = new Float64Array(size * size)
    const gradient = new Float64Array(size)
    const parts: number[] = []
    const slope = new Float64Array(size)
    for (const row of rows) {
      const total = predict(row, theta, parts)
      const error = Math.log(total) - row.target
      const scaled = error / priors.noise
      const weight = row.weight / (1 + (scaled * scaled) / 4) / (priors.noise * priors.noise)
      const touched: number[] = []
      for (let t = 0; t < row.terms.length; t++) {
        const share = parts[t]! / total
        for (const id of row.terms[t]!.ids) {
          if (slope[id] === 0) touched.push(id)
          slope[id]! += share
        }
      }
      for (const i of touched) {
        gradient[i]! += weight * slope[i]! * error
        const scaledSlope = weight * slope[i]!
        for (const j of touched) hessian[i * size + j]! += scaledSlope * slope[j]!
      }
      for (const i of touched) slope[i] = 0
    }
    for (let i = 0; i < size; i++) {
      hessian[i * size + i]! += names[i]!.precision
      gradient[i]! += names[i]!.precision * (theta[i]! - names[i]!.mean)
    }
    let accepted = false
    for (let attempt = 0; attempt < 8 && !accepted; attempt++) {
      const step = solve(hessian, gradient, size, damping)
      const next = theta.map((value, i) => value - Math.max(-1, Math.min(1, step[i]!)))
      const value = objective(next)
      if (value < current) {
        accepted = true
        const gain = current - value
        theta = next
        current = value
        damping = Math.max(1e-6, damping / 4)
        if (gain < 1e-4) return toEffects(names, theta)
      } else damping *= 6
    }
    if (!accepted) break
  }
  return toEffects(names, theta)
}

/** Solves (H + damping diag H) x = g by Cholesky, row by row so that memory is read in order. */
function solve(hessian: Float64Array, gradient: Float64Array, size: number, damping: number): Float64Array {
  const lower = new Float64Array(size * size)
  for (let i = 0; i < size; i++) {
    const rowI = i * size
    for (let j = 0; j <= i; j++) {
      const rowJ = j * size
      let sum = hessian[rowI + j]!
      if (i === j) sum *= 1 + damping
      for (let k = 0; k < j; k++) sum -= lower[rowI + k]! * lower[rowJ + k]!
      lower[rowI + j] = i === j ? Math.sqrt(Math.max(1e-12, sum)) : sum / lower[rowJ + j]!
    }
  }
  const x = Float64Array.from(gradient)
  for (let i = 0; i < size; i++) {
    let sum = x[i]!
    for (let k = 0; k < i; k++) sum -= lower[i * size + k]! * x[k]!
    x[i] = sum / lower[i * size + i]!
  }
  for (let i = size - 1; i >= 0; i--) {
    let sum = x[i]!
    for (let k = i + 1; k < size; k++) sum -= lower[k * size + i]! * x[k]!
    x[i] = sum / lower[i * size + i]!
  }
  return x
}

function toEffects(names: { term: string; key: string | null }[], theta: Float64Array): Effects {
  const effects: Record<string, { base: number; effects: Record<string, number> }> = {}
  names.forEach(({ term, key }, i) => {
    const entry = effects[term] ?? { base: 0, effects: {} }
    effects[term] = entry
    if (key === null) entry.base = theta[i]!
    else if (Math.abs(theta[i]!) > 5e-4) entry.effects[key] = theta[i]!
  })
  return effects
}
