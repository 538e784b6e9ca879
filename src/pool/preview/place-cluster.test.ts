/** What a cluster's one member says of it, as placements: pure, over facts as exo and an attached server tell them. */
import { expect, test } from 'vitest'
import { aModel } from '../../../test/hub/fake-node.ts'
import { aProfile } from '../../../test/support/profiles.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import { attachedPool } from '../attached/index.ts'
import { exoPool } from '../exo/index.ts'
import type { Candidate } from './member.ts'
import { bestOffers } from './place-cluster.ts'
import { type PreviewQuestion, previewPool } from './preview.ts'

const model = 'llama-3.1-70b'
const machine = (name: string, freeBytes = 100e9, chip: string | null = 'Apple M4 Max') => ({
  name,
  chip,
  memoryBytes: 128 * 2 ** 30,
  freeBytes,
})
const cluster: NonNullable<MemberFacts['cluster']> = {
  machines: [machine('studio'), machine('book', 50e9)],
  offers: [
    { strategy: 'pipeline', machines: ['studio', 'book'], rdma: false },
    { strategy: 'pipeline', machines: ['studio'], rdma: false },
    { strategy: 'tensor', machines: ['studio', 'book'], rdma: false },
    { strategy: 'tensor', machines: ['studio', 'book'], rdma: true },
  ],
}

function gate(over: Partial<MemberFacts> = {}, told = {}): Candidate {
  const facts: MemberFacts = {
    whyNot: null,
    build: 'exo',
    devices: [],
    modelPath: model,
    modelBytes: null,
    diskFreeBytes: null,
    memory: { budgetBytes: 256e9, usedBytes: 0 },
    interfaces: [],
    ...over,
  }
  const models = [aModel(model, { engine: 'exo', sizeBytes: 40e9, contextMax: 131_072, ...told })]
  const state = {
    ...{ id: 'g', name: 'gate', state: 'ready' as const, engines: [], running: [], models },
    ...{ profile: aProfile('m4-max-40c', 16e9), memory: { budgetBytes: 16e9, usedBytes: 0 } },
  }
  return { node: 'g', name: 'gate', state, facts, silence: null, ownBytes: 0, pace: null }
}

function ask(engine: typeof exoPool, member: Candidate, more: Partial<PreviewQuestion> = {}) {
  return previewPool({
    model,
    contextTokens: 8192,
    parallel: null,
    fallback: null,
    members: [member],
    engines: [{ engine, members: [member] }],
    link: () => {
      throw new Error('a cluster has links of its own')
    },
    servesAlone: () => true,
    ...more,
  })
}

test('each split is a row, on the machines that exo would take: RDMA before TCP, then the fewest', () => {
  expect(bestOffers(cluster.offers)).toEqual([cluster.offers[3], cluster.offers[1]])
  const rows = ask(exoPool, gate({ cluster })).placements.filter(({ engine }) => engine === 'exo')
  expect(rows.map(({ strategy, members }) => [strategy, members.map(({ node }) => node)])).toEqual(
    expect.arrayContaining([
      ['tensor', ['studio', 'book']],
      ['pipeline', ['studio']],
    ]),
  )
  for (const { fits, decodeTokS, members } of rows) {
    expect(fits).toBe(true)
    expect(decodeTokS.expected).toBeGreaterThan(0)
    // Of the cluster's memory, not of the 16 GB of the machine that reaches it.
    for (const { memory } of members) expect(memory?.limitBytes).toBeGreaterThanOrEqual(50e9)
  }
})

test('a machine without which there is no placement takes the pool down, another does not', () => {
  const rows = ask(exoPool, gate({ cluster }), { fallback: 'small' }).placements
  const tensor = rows.find(({ strategy }) => strategy === 'tensor')
  expect(tensor?.whenAMemberDies.map(({ node, outcome }) => [node, outcome])).toEqual([
    ['studio', 'fallback'],
    ['book', 'rebuild'],
    ['gate', 'fallback'],
  ])
})

test('where the cache does not fit by the planner the row says so, and exo decides', () => {
  const tight = {
    machines: [machine('studio', 30e9), machine('book', 30e9)],
    offers: cluster.offers.slice(3),
  }
  const [row] = ask(exoPool, gate({ cluster: tight }), { contextTokens: 65_536 }).placements
  expect(row).toMatchObject({ engine: 'exo', fits: true, basis: 'unknown' })
  expect(row?.because.join('; ')).toMatch(/by the planner .*short.*the cluster counts otherwise/)
})

test('machines of an unknown chip have no speed, and none is made up', () => {
  const strange = { machines: [machine('studio', 100e9, null)], offers: cluster.offers.slice(1, 2) }
  const [row] = ask(exoPool, gate({ cluster: strange })).placements
  expect(row).toMatchObject({ fits: true, basis: 'unknown', decodeTokS: { expected: 0 } })
  expect(row?.because.join('; ')).toContain('the planner does not know all of its machines')
})

test('an attached cluster is held against its declared memory, and its measured speed is told', () => {
  const told = { engine: 'openai', measuredDecodeTokS: 31 }
  const attached = gate({ build: 'The OpenAI server' }, told)
  const [row] = ask(attachedPool, attached).placements
  expect(row).toMatchObject({ basis: 'measured', decodeTokS: { expected: 31, low: 31, high: 31 } })
  expect(row?.members[0]?.memory?.limitBytes).toBe(256e9)
  const small = gate({ build: 'x', memory: { budgetBytes: 20e9, usedBytes: 0 } }, told)
  const [short] = ask(attachedPool, small).placements
  expect(short?.fits).toBe(true)
  expect(short?.because.join('; ')).toContain('only 20.0 GB are declared for gate')
})
