import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { median } from '../../core/median.ts'
import { parseCsv } from './csv.ts'
import { readRow } from './row.ts'
import { summarise } from './score.ts'
import { validate } from './validate.ts'

const csv = readFileSync(new URL('../../../calibration/calibration.csv', import.meta.url), 'utf8')
const report = validate(csv, { rows: true })

it('scores at least three quarters of the calibration rows, and every skipped one has a reason', () => {
  expect(report.scored / report.rows).toBeGreaterThanOrEqual(0.75)
  expect(report.scored + report.skipped.length).toBe(report.rows)
  for (const { id, reason } of report.skipped) expect(reason, id).toBeTruthy()
})

it('meets the accuracy it promises on the rows it was fitted to', () => {
  expect(report.decode.medianAbsPct).toBeLessThanOrEqual(10)
  expect(report.decode.within25Pct).toBeGreaterThanOrEqual(85)
  expect(report.pooled.medianAbsPct).toBeLessThanOrEqual(20)
  expect(report.prefill.medianAbsPct).toBeLessThanOrEqual(20)
  expect(report.memory.medianAbsPct).toBeLessThanOrEqual(8)
})

it('states an interval that holds at least the share it promises', () => {
  for (const share of [report.interval.decodePct, report.interval.prefillPct, report.interval.pooledPct])
    expect(share).toBeGreaterThanOrEqual(report.interval.statedPct)
})

it('never looks at the measured columns before predicting', () => {
  const { columns, records } = parseCsv(csv)
  const quoted = (text: string) => `"${text.replaceAll('"', '""')}"`
  const changed = records.map((record) => ({
    ...record,
    decode_tok_s: record.decode_tok_s ? '1' : '',
    prefill_tok_s: record.prefill_tok_s ? '2' : '',
    memory_used_gb: record.memory_used_gb ? '3' : '',
    ttft_s: '4',
  }))
  const text = [
    columns.join(','),
    ...changed.map((record: Record<string, string>) =>
      columns.map((name) => quoted(record[name] ?? '')).join(','),
    ),
  ].join('\n')
  expect(validate(text, { rows: true }).predictions).toEqual(report.predictions)
})

it('predicts chips, models and quants it has never seen, or says why not', () => {
  const row = (over: Record<string, string>) =>
    readRow({
      id: 'x',
      engine: 'llama.cpp',
      model: 'Qwen3-8B',
      quant: 'Q4_K_M',
      chip: 'NVIDIA RTX 4080 SUPER',
      decode_tok_s: '90',
      ...over,
    })
  expect(row({})).toHaveProperty('row')
  expect(row({ chip: 'AMD Radeon RX 6800 XT' })).toHaveProperty('row')
  expect(row({ model: 'SomeLab-New-33B-A4B' })).toHaveProperty('row')
  expect(row({ chip: 'Zorgon 9000' })).toMatchObject({ reason: expect.stringContaining('Zorgon') })
  expect(row({ model: 'mystery' })).toMatchObject({ reason: expect.stringContaining('mystery') })
  expect(row({ quant: '' })).toMatchObject({ reason: 'gives neither size nor quant' })
  expect(row({ notes: 'OUTLIER: swapped' })).toMatchObject({ reason: expect.stringContaining('OUTLIER') })
})

it('refuses a table without the columns it needs', () => {
  expect(() => validate('a,b\n1,2\n')).toThrow(/no column/)
})

it('reads quoted fields, doubled quotes and line ends of both kinds', () => {
  const { records } = parseCsv('a,b\r\n"x, ""y""",2\n\n"two\nlines",3')
  expect(records).toEqual([
    { a: 'x, "y"', b: '2' },
    { a: 'two\nlines', b: '3' },
  ])
})

it('summarises errors as the contract says', () => {
  const pairs = [1, 1.1, 0.8, 2].map((predicted) => ({ predicted, measured: 1 }))
  expect(summarise(pairs)).toEqual({
    n: 4,
    medianAbsPct: 15,
    p90AbsPct: 100,
    within15Pct: 50,
    within25Pct: 75,
    biasPct: 5,
  })
  expect(median([3, 1, 2])).toBe(2)
  expect(summarise([]).medianAbsPct).toBeNull()
})
