import { expect, test } from 'vitest'
import type { PoolView } from '../../protocol/pools.ts'
import { createPrinter, type Printer } from '../printer.ts'
import { printPool, printPools } from './pool-print.ts'

const now = 1_000_000

type Member = PoolView['members'][number]
const member = (node: string, more: Partial<Member> = {}): Member => ({
  ...{ node, state: 'in', why: null, untilMs: null, failures: 0 },
  ...{ rank: null, layers: null, plannedBytes: null, memoryBytes: null, wire: null },
  ...more,
})
const part = { layers: 5, plannedBytes: 201e6, wire: 'encrypted' as const }

const pool = (more: Partial<PoolView> = {}): PoolView => ({
  ...{ name: 'big', model: 'wide', engine: 'llama-rpc', fallback: null },
  ...{ phase: 'ready', service: 'group', servedBy: null, reason: null, progress: null },
  members: [
    member('oak', { ...part, rank: 0, memoryBytes: 106e6 }),
    member('elm', { ...part, rank: 1, memoryBytes: null }),
  ],
  contextTokens: 2048,
  pooled: { predictedTokS: 109.5, measuredTokS: null },
  solo: { node: null, predictedTokS: null, measuredTokS: null },
  choice: 'It runs pooled: it fits no single member.',
  ...{ readySinceMs: now, nextTryMs: null },
  ...more,
})

/** What a person reads, stderr after stdout. */
function read(print: (printer: Printer) => void): string {
  let [out, err] = ['', '']
  const stream = (add: (text: string) => void) => ({ write: (text: string) => add(text) })
  const terminal = {
    stdout: stream((text) => {
      out += text
    }),
    stderr: stream((text) => {
      err += text
    }),
    env: { NO_COLOR: '1' },
  }
  print(createPrinter(terminal, false))
  return out + err
}
const show = (view: PoolView): string => read((printer) => printPool(printer, view, now))

test('a pool that serves tells its parts, its speed and why it runs as it does', () => {
  expect(show(pool())).toBe(`big serves wide with llama-rpc, pooled on oak and elm

member  state  part      layers  planned  in memory  wire
oak     in     head           5   201 MB     106 MB  encrypted
elm     in     worker 1       5   201 MB          –  encrypted

pooled  110 tok/s expected, not measured yet
It runs pooled: it fits no single member.
`)
})

test('one that is down tells why, when it is tried again and how its members stand, and not how it would run', () => {
  const text = show(
    pool({
      ...{ phase: 'resting', service: 'none', nextTryMs: now + 11_200 },
      reason: 'Only oak is left, which cannot hold wide alone. Before that: elm is gone.',
      members: [
        member('oak', { state: 'here' }),
        member('elm', { state: 'away', why: 'It is not connected.' }),
        member('ash', {
          state: 'left-out',
          why: 'It failed 4 times in a row and is left out.',
          untilMs: now + 2 * 3_600_000,
        }),
      ],
    }),
  )
  expect(text).toBe(`big is down: nobody serves wide
  Only oak is left, which cannot hold wide alone. Before that: elm is gone.
  Next try in 12 s.

member  state
oak     ready
elm     away      It is not connected.
ash     left out  It failed 4 times in a row and is left out. It counts again in 2 h 0 min.

pooled  110 tok/s expected, not measured yet
`)
})

test('one that is being formed tells how far it is, and who answers meanwhile', () => {
  const forming = pool({
    ...{ phase: 'starting', service: 'none', readySinceMs: null },
    progress: { phase: 'reading weights', percent: 40.4, etaS: 3 },
  })
  expect(show(forming)).toMatch(
    /^big does not serve wide yet\n {2}It is being formed: reading weights, 40 %\.\n/,
  )
  const covered = show({
    ...forming,
    service: 'fallback',
    fallback: 'small',
    servedBy: 'desk',
    progress: null,
  })
  expect(covered).toMatch(
    /^big does not serve wide now: its fallback small answers, on desk\n {2}It is being formed: starting the members\.\n/,
  )
})

test('one that runs on one machine says which, and both speeds', () => {
  const text = show(
    pool({
      ...{ phase: 'resting', service: 'solo', servedBy: 'oak' },
      members: [member('oak', { state: 'here' }), member('elm', { state: 'here' })],
      pooled: { predictedTokS: 4, measuredTokS: 3.14 },
      solo: { node: 'oak', predictedTokS: 20.4, measuredTokS: null },
    }),
  )
  expect(text).toMatch(/^big serves wide on oak alone\n/)
  expect(text).toContain(
    'pooled  3.1 tok/s measured, 4.0 tok/s expected\nsolo    20 tok/s expected, not measured yet on oak\n',
  )
})

test('the list keeps its lines short: reasons stand below it', () => {
  const down = pool({
    ...{ name: 'other', phase: 'resting', service: 'none', reason: 'Only oak is left.' },
    members: [member('oak', { state: 'here' }), member('elm', { state: 'away' })],
  })
  expect(read((printer) => printPools(printer, [pool(), down]))).toBe(
    `pool   model  answers  members                  engine     tok/s
big    wide   pooled   oak, elm                 llama-rpc   ~110
other  wide   nobody   oak (ready), elm (away)  llama-rpc   ~110
other: Only oak is left.
`,
  )
})
