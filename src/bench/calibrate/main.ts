import { readFileSync, writeFileSync } from 'node:fs'
import { summarise } from '../validate/score.ts'
import { readRows } from '../validate/validate.ts'
import { type CrossValidated, crossValidate, fitAll, type Held, intervalsFrom } from './calibrate.ts'

/**
 * `npm run calibrate`: calibration/calibration.csv -> src/planner/constants.generated.ts and calibration/report.json.
 * Run from the root of the project, after a build. Deterministic: the same rows give the same bytes.
 */

export interface CalibrationPaths {
  csv: string
  constants: string
  report: string
}

const pairs = (held: readonly Held[]) =>
  held.map((entry) => ({ predicted: 1 / entry.seconds, measured: 1 / entry.measured }))

function table(cv: CrossValidated) {
  const solo = cv.decode.filter((entry) => entry.row.nodes === 1)
  const pooled = cv.decode.filter((entry) => entry.row.nodes > 1)
  const bySource: Record<string, ReturnType<typeof summarise>> = {}
  for (const source of new Set(cv.decode.map((entry) => entry.row.source)))
    bySource[source] = summarise(pairs(cv.decode.filter((entry) => entry.row.source === source)))
  return {
    decode: summarise(pairs(solo)),
    pooled: summarise(pairs(pooled)),
    prefill: summarise(pairs(cv.prefill)),
    bySource,
  }
}

export function calibrate(paths: CalibrationPaths, onProgress: (what: string) => void): unknown {
  const { rows, total, skipped } = readRows(readFileSync(paths.csv, 'utf8'))
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
    leaveOneSourceOut: table(bySource),
    leaveOneChipOut: table(byChip),
    intervals: constants.intervals,
  }
  writeFileSync(paths.report, `${JSON.stringify(report, null, 1)}\n`)
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
