import { readFileSync, writeFileSync } from 'node:fs'
import { type Effects, totalSeconds } from '../../planner/index.ts'
import type { Row } from '../validate/row.ts'
import { type ErrorSummary, summarise } from '../validate/score.ts'
import { readRows, validate } from '../validate/validate.ts'
import { accuracyPage, type ErrorTable, readmeTables, withTables } from './accuracy-page.ts'
import { type CrossValidated, crossValidate, fitAll, type Held, intervalsFrom } from './calibrate.ts'
import { decodeTarget, prefillTarget, type Target } from './observations.ts'

/**
 * `npm run calibrate`: calibration/calibration.csv -> src/planner/constants.generated.ts, calibration/report.json,
 * docs/reference/accuracy.md and the README's tables of errors.
 * Run from the root of the project, after a build. Deterministic: the same rows give the same bytes.
 */

export interface CalibrationPaths {
  csv: string
  constants: string
  report: string
  page: string
  readme: string
}

const pairs = (held: readonly Held[]) =>
  held.map((entry) => ({ predicted: 1 / entry.seconds, measured: 1 / entry.measured }))

function grouped(held: readonly Held[], name: (row: Row) => string): Record<string, ErrorSummary> {
  const groups: Record<string, ErrorSummary> = {}
  for (const group of new Set(held.map((entry) => name(entry.row))))
    groups[group] = summarise(pairs(held.filter((entry) => name(entry.row) === group)))
  return groups
}

function table(cv: Pick<CrossValidated, 'decode' | 'prefill'>): ErrorTable {
  return {
    decode: summarise(pairs(cv.decode.filter((entry) => entry.row.nodes === 1))),
    pooled: summarise(pairs(cv.decode.filter((entry) => entry.row.nodes > 1))),
    prefill: summarise(pairs(cv.prefill)),
    byEngine: grouped(cv.decode, (row) => row.engine),
    bySource: grouped(cv.decode, (row) => row.source),
  }
}

/** Errors on the very rows that were fitted: what memory gives, not what a new measurement will meet. */
function inSample(rows: readonly Row[], full: { decode: Effects; prefill: Effects }) {
  const held = (target: Target, effects: Effects): Held[] =>
    target.rows.map((row, i) => ({
      row,
      seconds: totalSeconds(target.observations[i]!.terms, effects),
      measured: target.observations[i]!.seconds,
      chipSeen: true,
    }))
  return table({
    decode: held(decodeTarget(rows), full.decode),
    prefill: held(prefillTarget(rows), full.prefill),
  })
}

export function calibrate(paths: CalibrationPaths, onProgress: (what: string) => void): unknown {
  const text = readFileSync(paths.csv, 'utf8')
  const { rows, total, skipped } = readRows(text)
  onProgress(`fitting ${rows.length} of ${total} rows`)
  const full = fitAll(rows)
  const bySource = crossValidate(rows, full, 'source', onProgress)
  const byChip = crossValidate(rows, full, 'chip', onProgress)
  const constants = {
    provenance: {
      command: 'npm run calibrate',
      rows: rows.length,
      sources: new Set(rows.map((row) => row.source)).size,
      note: 'natural logarithms of factors; see docs/decisions/0010-planner-fitting.md',
    },
    ...full,
    // Both ways of leaving out count: an unseen chip is met only when chips are left out.
    intervals: intervalsFrom({
      fold: 'source',
      decode: [...bySource.decode, ...byChip.decode],
      prefill: [...bySource.prefill, ...byChip.prefill],
    }),
  }
  writeFileSync(paths.constants, source(constants))
  const report = {
    rows: total,
    used: rows.length,
    skipped: skipped.length,
    inSample: inSample(rows, full),
    memory: validate(text).memory,
    leaveOneSourceOut: table(bySource),
    leaveOneChipOut: table(byChip),
    intervals: constants.intervals,
  }
  writeFileSync(paths.report, `${JSON.stringify(report, null, 1)}\n`)
  writeFileSync(paths.page, accuracyPage(report))
  writeFileSync(paths.readme, withTables(readFileSync(paths.readme, 'utf8'), readmeTables(report)))
  return report
}

/** One line per term, so that a change of the fit is a readable difference. */
function source(constants: {
  provenance: unknown
  decode: object
  prefill: object
  intervals: unknown
}): string {
  const group = (effects: object) =>
    Object.entries(effects)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([term, fitted]) => `    ${JSON.stringify(term)}: ${JSON.stringify(fitted)},`)
      .join('\n')
  return [
    '// Made by `npm run calibrate` from calibration/calibration.csv. Do not edit.',
    'export const constants = {',
    `  provenance: ${JSON.stringify(constants.provenance)},`,
    `  intervals: ${JSON.stringify(constants.intervals)},`,
    `  decode: {\n${group(constants.decode)}\n  },`,
    `  prefill: {\n${group(constants.prefill)}\n  },`,
    '}',
    '',
  ].join('\n')
}
