import { HolonError } from '../../core/errors.ts'
import { decodeSpeed, memoryUse, prefillSpeed, constants as shipped } from '../../planner/index.ts'
import { crossValidate, type Fold, fitAll } from '../calibrate/calibrate.ts'
import { parseCsv } from './csv.ts'
import { type Row, readRow } from './row.ts'
import { type ErrorSummary, type Pair, summarise } from './score.ts'

/**
 * Scores the planner against published measurements. Each row's prediction is made from its setup alone, before the
 * measured columns are looked at. `cross-validate` refits without each source (or chip) and scores only what was
 * left out, which is what an unseen measurement will meet.
 */

export interface Prediction {
  id: string
  decodeTokS: number | null
  prefillTokS: number | null
  memoryGb: number | null
  basis: string
}

export interface ValidationReport {
  rows: number
  scored: number
  skipped: { id: string; reason: string }[]
  decode: ErrorSummary
  prefill: ErrorSummary
  memory: ErrorSummary
  pooled: ErrorSummary
  byEngine: Record<string, ErrorSummary>
  bySource: Record<string, ErrorSummary>
  /** Share of measurements inside the stated interval, against the share it promises. */
  interval: {
    statedPct: number
    decodePct: number | null
    prefillPct: number | null
    pooledPct: number | null
  }
  crossValidated: Fold | null
  predictions?: Prediction[]
}

export interface ValidateOptions {
  rows?: boolean
  crossValidate?: Fold
  onProgress?: (what: string) => void
}

const REQUIRED = ['model', 'chip', 'decode_tok_s']

/** Reads rows and says why it leaves any out. @throws HolonError invalid_parameter when the columns are not there */
export function readRows(text: string): {
  total: number
  rows: Row[]
  skipped: { id: string; reason: string }[]
} {
  const { columns, records } = parseCsv(text)
  const missing = REQUIRED.filter((name) => !columns.includes(name))
  if (missing.length > 0)
    throw new HolonError(
      'invalid_parameter',
      `The file has no column ${missing.map((name) => `"${name}"`).join(', ')}.`,
      {
        param: 'file',
        hint: 'The first line names the columns: id, source_title, engine, model, quant, chip, decode_tok_s and so on.',
      },
    )
  const rows: Row[] = []
  const skipped: { id: string; reason: string }[] = []
  records.forEach((record, i) => {
    const outcome = readRow({ ...record, id: record.id || `row ${i + 2}` })
    const reason = 'row' in outcome ? whyNothingToCompare(outcome.row) : outcome.reason
    if (reason !== null) skipped.push({ id: 'row' in outcome ? outcome.row.id : outcome.id, reason })
    else if ('row' in outcome) rows.push(outcome.row)
  })
  return { total: records.length, rows, skipped }
}

function whyNothingToCompare({ measured, memoryKind, contextStated }: Row): string | null {
  if (measured.decodeTokS !== null || measured.prefillTokS !== null) return null
  if (measured.memoryBytes === null) return 'no measured value to compare with'
  if (memoryKind === 'kv') return 'the memory figure covers the KV cache alone'
  if (contextStated || memoryKind === 'weights') return null
  return 'the memory figure does not say for which context it was taken'
}

interface Scored {
  row: Row
  decode: Pair | null
  prefill: Pair | null
  memory: Pair | null
  prediction: Prediction
  decodeInside: boolean | null
  prefillInside: boolean | null
}

function memoryPrediction(row: Row): number | null {
  if (row.memoryKind === 'kv') return null
  if (!row.contextStated && row.memoryKind !== 'weights') return null
  const { setup } = row
  const n = setup.members.length
  const use =
    setup.strategy === 'tensor'
      ? memoryUse(setup, 1, n, row.memoryKind === 'process')
      : memoryUse(setup, 1 / n, 1, row.memoryKind === 'process')
  return row.memoryKind === 'weights' ? use.weightsBytes : use.totalBytes
}

function scoreRow(row: Row, held: { decode?: number; prefill?: number } | null): Scored {
  const decode = decodeSpeed(row.setup)
  const prefill = prefillSpeed(row.setup)
  const decodeTokS = held ? (held.decode ?? null) : decode.tokS.expected
  const prefillTokS = held ? (held.prefill ?? null) : prefill.tokS.expected
  const memoryBytes = memoryPrediction(row)
  const { measured } = row
  const pair = (predicted: number | null, value: number | null): Pair | null =>
    predicted === null || value === null ? null : { predicted, measured: value }
  const inside = (predicted: number | null, value: number | null, speed: typeof decode): boolean | null => {
    if (predicted === null || value === null) return null
    const scale = predicted / speed.tokS.expected
    return value >= speed.tokS.low * scale && value <= speed.tokS.high * scale
  }
  return {
    row,
    decode: pair(decodeTokS, measured.decodeTokS),
    prefill: pair(prefillTokS, measured.prefillTokS),
    memory: pair(memoryBytes, measured.memoryBytes),
    prediction: {
      id: row.id,
      decodeTokS: decodeTokS === null ? null : Number(decodeTokS.toPrecision(5)),
      prefillTokS: prefillTokS === null ? null : Number(prefillTokS.toPrecision(5)),
      memoryGb: memoryBytes === null ? null : Number((memoryBytes / 1e9).toPrecision(5)),
      basis: decode.basis,
    },
    decodeInside: inside(decodeTokS, measured.decodeTokS, decode),
    prefillInside: inside(prefillTokS, measured.prefillTokS, prefill),
  }
}

function heldOutSpeeds(
  rows: Row[],
  fold: Fold,
  onProgress?: (what: string) => void,
): Map<Row, { decode?: number; prefill?: number }> {
  const cv = crossValidate(rows, fitAll(rows), fold, onProgress)
  const speeds = new Map<Row, { decode?: number; prefill?: number }>(rows.map((row) => [row, {}]))
  for (const entry of cv.decode) speeds.get(entry.row)!.decode = entry.row.setup.batch / entry.seconds
  for (const entry of cv.prefill)
    speeds.get(entry.row)!.prefill = (entry.row.setup.promptTokens * entry.row.setup.batch) / entry.seconds
  return speeds
}

const present = <T>(value: T | null): value is T => value !== null

function sharePct(flags: readonly (boolean | null)[]): number | null {
  const known = flags.filter(present)
  return known.length === 0 ? null : Math.round((1000 * known.filter(Boolean).length) / known.length) / 10
}

function grouped(scored: readonly Scored[], key: (row: Row) => string): Record<string, ErrorSummary> {
  const groups = new Map<string, Pair[]>()
  for (const { row, decode } of scored) {
    if (!decode) continue
    const pairs = groups.get(key(row)) ?? []
    pairs.push(decode)
    groups.set(key(row), pairs)
  }
  const sorted = [...groups].sort((a, b) => b[1].length - a[1].length || a[0].localeCompare(b[0]))
  return Object.fromEntries(sorted.map(([name, pairs]) => [name, summarise(pairs)]))
}

/** @throws HolonError invalid_parameter when the text is no such table */
export function validate(text: string, options: ValidateOptions = {}): ValidationReport {
  const { total, rows, skipped } = readRows(text)
  const held = options.crossValidate ? heldOutSpeeds(rows, options.crossValidate, options.onProgress) : null
  const scored = rows.map((row) => scoreRow(row, held?.get(row) ?? null))
  const solo = scored.filter((entry) => entry.row.nodes === 1)
  const pooled = scored.filter((entry) => entry.row.nodes > 1)
  return {
    rows: total,
    scored: scored.length,
    skipped,
    decode: summarise(solo.map((entry) => entry.decode).filter(present)),
    prefill: summarise(scored.map((entry) => entry.prefill).filter(present)),
    memory: summarise(scored.map((entry) => entry.memory).filter(present)),
    pooled: summarise(pooled.map((entry) => entry.decode).filter(present)),
    byEngine: grouped(scored, (row) => row.engine),
    bySource: grouped(scored, (row) => row.source),
    interval: {
      statedPct: shipped.intervals.share * 100,
      decodePct: sharePct(solo.map((entry) => entry.decodeInside)),
      prefillPct: sharePct(scored.map((entry) => entry.prefillInside)),
      pooledPct: sharePct(pooled.map((entry) => entry.decodeInside)),
    },
    crossValidated: options.crossValidate ?? null,
    ...(options.rows ? { predictions: scored.map((entry) => entry.prediction) } : {}),
  }
}
