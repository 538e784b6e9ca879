import { median } from '../../core/median.ts'

/** Errors of predictions against measurements, in the shape of the contract. Percentages to one decimal. */

export interface ErrorSummary {
  n: number
  medianAbsPct: number | null
  p90AbsPct: number | null
  within15Pct: number | null
  within25Pct: number | null
  /** Median signed error: above 0 the planner promises too much. */
  biasPct: number | null
}

export interface Pair {
  predicted: number
  measured: number
}

const tenth = (value: number): number => Math.round(value * 10) / 10

export function summarise(pairs: readonly Pair[]): ErrorSummary {
  const n = pairs.length
  if (n === 0)
    return { n, medianAbsPct: null, p90AbsPct: null, within15Pct: null, within25Pct: null, biasPct: null }
  const signed = pairs.map((pair) => pair.predicted / pair.measured - 1)
  const absolute = signed.map(Math.abs).sort((a, b) => a - b)
  const within = (limit: number) => tenth((100 * absolute.filter((error) => error <= limit).length) / n)
  return {
    n,
    medianAbsPct: tenth(100 * median(absolute)),
    p90AbsPct: tenth(100 * absolute[Math.ceil(0.9 * n) - 1]!),
    within15Pct: within(0.15),
    within25Pct: within(0.25),
    biasPct: tenth(100 * median(signed)),
  }
}
