import type { ErrorSummary } from '../validate/score.ts'

/** docs/reference/accuracy.md: how far the planner is off, by engine and by source, on rows it has and has not seen. */

export interface ErrorTable {
  decode: ErrorSummary
  pooled: ErrorSummary
  prefill: ErrorSummary
  byEngine: Readonly<Record<string, ErrorSummary>>
  bySource: Readonly<Record<string, ErrorSummary>>
}

export interface AccuracyReport {
  rows: number
  used: number
  skipped: number
  inSample: ErrorTable
  leaveOneSourceOut: ErrorTable
  leaveOneChipOut: ErrorTable
  memory: ErrorSummary
}

const percent = (value: number | null): string => (value === null ? '–' : `${value.toFixed(1)} %`)
const cells = (summary: ErrorSummary): string =>
  [
    percent(summary.medianAbsPct),
    percent(summary.p90AbsPct),
    percent(summary.within25Pct),
    percent(summary.biasPct),
  ].join(' | ')
const HEAD = 'rows | median error | 90th percentile | within 25 % | bias'

function overall(name: string, table: ErrorTable): string[] {
  return (['decode', 'pooled', 'prefill'] as const).map((what) => {
    const label = { decode: 'decode, one machine', pooled: 'decode, pooled', prefill: 'prefill' }[what]
    return `| ${name} | ${label} | ${table[what].n} | ${cells(table[what])} |`
  })
}

/** Decode by group: what the constants remember, and what they say of the group when they never saw its source. */
function byGroup(title: string, seen: ErrorTable['byEngine'], unseen: ErrorTable['byEngine']): string[] {
  const names = Object.keys(unseen).sort((a, b) => unseen[b]!.n - unseen[a]!.n || a.localeCompare(b))
  return [
    `| ${title} | rows | median, in-sample | median, source left out | within 25 %, source left out | bias, source left out |`,
    '|---|---|---|---|---|---|',
    ...names.map((name) => {
      const out = unseen[name]!
      return `| ${name.replaceAll('|', '/')} | ${out.n} | ${percent(seen[name]?.medianAbsPct ?? null)} | ${percent(out.medianAbsPct)} | ${percent(out.within25Pct)} | ${percent(out.biasPct)} |`
    }),
  ]
}

function groups(heading: '##' | '###', { inSample, leaveOneSourceOut }: AccuracyReport): string[] {
  return [
    `${heading} Decode by engine`,
    '',
    ...byGroup('engine as stated', inSample.byEngine, leaveOneSourceOut.byEngine),
    '',
    `${heading} Decode by source`,
    '',
    ...byGroup('source', inSample.bySource, leaveOneSourceOut.bySource),
    '',
  ]
}

export function accuracyPage(report: AccuracyReport): string {
  const { inSample, leaveOneSourceOut, leaveOneChipOut, memory } = report
  return [
    '# How accurate the planner is',
    '',
    `Made by \`npm run calibrate\` from \`calibration/calibration.csv\`: ${report.used} of ${report.rows} published measurements are used, ${report.skipped} are left out, each with its reason (\`holon plan validate\` lists them). Do not edit.`,
    '',
    'The errors that count are those on sources the fit never saw. They come from refitting without each source and predicting its rows from what was run alone:',
    '',
    '```sh',
    'holon plan validate calibration/calibration.csv --cross-validate source',
    'holon plan validate calibration/calibration.csv --cross-validate chip',
    'holon plan validate calibration/calibration.csv   # the constants that ship, on the rows they were fitted to',
    '```',
    '',
    `| | | ${HEAD} |`,
    '|---|---|---|---|---|---|---|',
    ...overall('source left out', leaveOneSourceOut),
    ...overall('chip left out', leaveOneChipOut),
    ...overall('in-sample', inSample),
    `| nothing fitted | memory | ${memory.n} | ${cells(memory)} |`,
    '',
    'The spreads of the prior were chosen by the first three lines, which makes them slightly kind to themselves. Bias is the median of predicted over measured, less one. Sources with fewer than three rows are left out together, chips in groups.',
    '',
    ...groups('##', report),
  ].join('\n')
}

/** What the README shows of it: from its first table to its last. */
export function readmeTables(report: AccuracyReport): string {
  const { leaveOneSourceOut, memory } = report
  const line = (name: string, { n, medianAbsPct, within25Pct }: ErrorSummary): string =>
    `| ${name} | ${n} | ${percent(medianAbsPct)} | ${percent(within25Pct)} |`
  return [
    '| | rows | median error | within 25 % |',
    '|---|---|---|---|',
    line('decode, one machine', leaveOneSourceOut.decode),
    line('decode, pooled', leaveOneSourceOut.pooled),
    line('prefill', leaveOneSourceOut.prefill),
    line('memory', memory),
    '',
    '<details>',
    '<summary>By engine and by source</summary>',
    '',
    ...groups('###', report),
  ].join('\n')
}

/** The README with these tables in place of those it has. @throws when it has none */
export function withTables(readme: string, tables: string): string {
  const from = readme.indexOf('| | rows | median error')
  const to = readme.indexOf('</details>', from)
  if (from < 0 || to < 0) throw new Error('the README has no table of errors to replace')
  return `${readme.slice(0, from)}${tables}\n${readme.slice(to)}`
}
