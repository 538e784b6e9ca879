import { decodeTerms, prefillTerms } from '../../planner/index.ts'
import type { Row } from '../validate/row.ts'
import type { Observation } from './fit.ts'

/** Measured rows as observations for the fit. A source counts by its rows to the power `1 - spread`, not by its rows. */

export interface Target {
  name: 'decode' | 'prefill'
  rows: Row[]
  observations: Observation[]
}

function weighted(rows: Row[], spread: number): number[] {
  const counts = new Map<string, number>()
  for (const row of rows) counts.set(row.source, (counts.get(row.source) ?? 0) + 1)
  return rows.map((row) => (counts.get(row.source) as number) ** -spread)
}

/**
 * Pools scatter by about 45 % where machines scatter by 10 %: cabling, switch and build are each pool's own. Weighed
 * by variance they move what machines teach little, and the physical counts lead where evidence is thin.
 */
const POOLED_WEIGHT = 0.05

export function decodeTarget(all: readonly Row[]): Target {
  const rows = all.filter((row) => row.measured.decodeTokS !== null)
  const weights = weighted(rows, 0.47)
  return {
    name: 'decode',
    rows,
    observations: rows.map((row, i) => ({
      terms: decodeTerms(row.setup),
      seconds: row.setup.batch / (row.measured.decodeTokS as number),
      weight: (weights[i] as number) * (row.nodes > 1 ? POOLED_WEIGHT : 1),
    })),
  }
}

export function prefillTarget(all: readonly Row[]): Target {
  const rows = all.filter((row) => row.measured.prefillTokS !== null)
  const weights = weighted(rows, 0.1)
  return {
    name: 'prefill',
    rows,
    observations: rows.map((row, i) => ({
      terms: prefillTerms(row.setup),
      seconds: (row.setup.promptTokens * row.setup.batch) / (row.measured.prefillTokS as number),
      weight: weights[i] as number,
    })),
  }
}
