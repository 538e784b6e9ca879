/** What the links bench prints. Pure. */
import type { HandRow } from './by-hand.ts'
import type { DeathRow } from './death.ts'
import type { MemoryRow, Pair, Predicted, PredictedRow } from './predicted.ts'
import type { WireFigures, WireRow } from './wire-cost.ts'

/** A prediction is good when it is this near to what was measured, as a share of it. */
export const near = 0.2

export const ratioOf = ({ predicted, measured }: Pair): number => predicted / measured
/** What would have been said, had the hub known how quick the machines were in those minutes. */
const atDrift = ({ predicted, measured }: Pair, drift: number): Pair => ({
  predicted: predicted * drift,
  measured,
})
export const isNear = (pair: Pair): boolean => Math.abs(ratioOf(pair) - 1) <= near

/** Columns as wide as their longest cell; the first to the left, the others to the right. */
export function columns(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0))) ?? []
  const cell = (text: string, at: number) =>
    at === 0 ? text.padEnd(widths[at] ?? 0) : text.padStart(widths[at] ?? 0)
  return rows.map((row) => `${row.map(cell).join('  ').trimEnd()}\n`).join('')
}

const speed = (value: number): string => value.toFixed(value < 100 ? 1 : 0)
const pair = (one: Pair, text: (value: number) => string): string[] => [
  text(one.predicted),
  text(one.measured),
  `${ratioOf(one).toFixed(2)}${isNear(one) ? '' : ' !'}`,
]

export function predictedText({ rows, memory, rounds, learned }: Predicted): string {
  const line = ({ members, cable, link, layers, decodeTokS, prefillTokS, drift }: PredictedRow): string[] => [
    `${members}, ${cable}`,
    link ? `${link.MBPerS.toFixed(0)} MB/s, ${link.rttMs.toFixed(2)} ms` : '',
    layers.join('+'),
    ...pair(decodeTokS, speed),
    drift.decode.toFixed(2),
    ...pair(prefillTokS, speed),
    drift.prefill.toFixed(2),
  ]
  const memoryLine = ({ members, node, bytes }: MemoryRow): string[] => [
    `${members}, ${node}`,
    ...pair(bytes, (value) => (value / 1e6).toFixed(0)),
  ]
  const all = [
    ...rows.flatMap((row) => [row.decodeTokS, row.prefillTokS]),
    ...memory.map(({ bytes }) => bytes),
  ]
  const good = all.filter(isNear).length
  const atDrifts = rows.flatMap(({ decodeTokS, prefillTokS, drift }) => [
    atDrift(decodeTokS, drift.decode),
    atDrift(prefillTokS, drift.prefill),
  ])
  const goodAtDrift = atDrifts.filter(isNear).length
  return [
    columns([
      [
        'members, cable',
        'link as measured',
        'layers',
        'decode tok/s said',
        'is',
        'ratio',
        'machines',
        'prefill said',
        'is',
        'ratio',
        'machines',
      ],
      ...rows.map(line),
    ]),
    learned.map((reason) => `${reason}\n`).join(''),
    columns([['members, node', 'memory MB said', 'is', 'ratio'], ...memory.map(memoryLine)]),
    `${good} of ${all.length} within ${near * 100} % (the others are marked !); medians of ${rounds} rounds`,
    `"machines": how quick they were alone in those minutes, against what the hub had learned of them`,
    `at that speed ${goodAtDrift} of ${atDrifts.length} speeds are within ${near * 100} %\n`,
  ].join('\n')
}

export function wireText(rows: readonly WireRow[]): string {
  const line = (cable: string, way: string, one: WireFigures): string[] => [
    `${cable}, ${way}`,
    speed(one.decodeTokS),
    speed(one.prefillTokS),
    one.decodeCpuMs.toFixed(2),
    one.decodeAgentCpuMs.toFixed(2),
    one.prefillAgentCpuMs.toFixed(0),
  ]
  const head = [
    'cable, wire',
    'decode tok/s',
    'prefill tok/s',
    'CPU ms/token',
    'of it agents',
    'agents, prompt ms',
  ]
  const table = columns([
    head,
    ...rows.flatMap(({ cable, plain, encrypted }) => [
      line(cable, 'plain', plain),
      line(cable, 'encrypted', encrypted),
    ]),
  ])
  const ratios = rows.map(
    ({ cable, ratio }) =>
      `${cable}: encrypted against plain decode ${ratio.decodeTokS.toFixed(2)}, prefill ${ratio.prefillTokS.toFixed(2)}, CPU per token ${ratio.decodeCpuMs.toFixed(2)}\n`,
  )
  return table + ratios.join('')
}

export function handText(rows: readonly HandRow[]): string {
  type Figures = HandRow['roomy'] & Partial<HandRow['managed']>
  const line = (
    name: string,
    { loadS, decodeTokS, computing, prefillTokS }: Figures,
    unit = '',
  ): string[] => {
    const load = loadS === undefined ? '' : `${loadS.toFixed(2)}${unit}`
    return [name, load, ...[decodeTokS, computing, prefillTokS].map((figure) => figure.toFixed(2))]
  }
  return columns([
    ['cable, way', 'load', 'decode tok/s', 'of it engines compute', 'prefill tok/s'],
    ...rows.flatMap(({ cable, managed, roomy, byHand, ratio }) => [
      line(`${cable}, by hand`, byHand, ' s'),
      line(`${cable}, managed`, managed, ' s'),
      line(`${cable}, managed, agents with room`, roomy),
      line('managed against by hand, larger is better', ratio.managed),
      line('the same, agents with room', ratio.roomy),
    ]),
  ])
}

export function deathText(rows: readonly DeathRow[]): string {
  const s = (value: number) => `${value.toFixed(2)} s`
  return columns([
    ['death', 'answer broke off', 'out of service', 'formed anew', 'next token'],
    ...rows.map(({ death, answerBrokeS, detectedS, rebuiltS, servedS }) => [
      ...[death, s(answerBrokeS), s(detectedS), s(rebuiltS), s(servedS)],
    ]),
  ])
}
