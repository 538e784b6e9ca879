/**
 * Part 1: what `holon pool preview` says of 1, 2 and 3 machines over each cable, with what the product itself measured of
 * machines and links, against what the same machines then do. The preview is asked before anything is started. Before and
 * after each number of machines they answer alone, so that what the machine did meanwhile is told from what the planner did.
 */
import { median } from '../../core/median.ts'
import type { NodeModel, RunningModel } from '../../protocol/model.ts'
import type { PreviewPlacement } from '../../protocol/pools.ts'
import { type Cable, unshaped } from '../lab/cable.ts'
import type { Lab } from '../lab/lab.ts'
import { type Alone, acquaint, driftOf } from './acquaint.ts'
import * as stand from './stand.ts'

export interface Pair {
  predicted: number
  measured: number
}

export interface PredictedRow {
  members: number
  cable: string
  /** As the product measured it; null for one machine. */
  link: { MBPerS: number; rttMs: number } | null
  layers: number[]
  decodeTokS: Pair
  prefillTokS: Pair
  /** How quick the machines were then, against what the hub had learned of them. */
  drift: Record<'decode' | 'prefill', number>
}

export interface MemoryRow {
  members: number
  node: string
  bytes: Pair
}

export interface Predicted {
  rows: PredictedRow[]
  memory: MemoryRow[]
  rounds: number
  /** What earlier answers had taught of the machines, in the words of the previews. */
  learned: string[]
}

export async function predicted(
  lab: Lab,
  cables: readonly Cable[],
  rounds: number,
  say: (text: string) => void,
): Promise<Predicted> {
  const result: Predicted = { rows: [], memory: [], rounds, learned: [] }
  say('each answers alone, with another model')
  const alone: Alone[] = [await acquaint(lab)]
  const finish = async (rows: readonly Row[]): Promise<void> => {
    const [before, after] = [alone.at(-1)!, await acquaint(lab)]
    for (const row of rows) result.rows.push({ ...row, drift: driftOf(alone, [before, after], row.members) })
    alone.push(after)
  }
  await lab.join('oak')
  const whole = await stand.preview(lab, ['oak'])
  await lab.post('/fleet/v1/models/load', { model: stand.modelName, contextTokens: stand.contextTokens })
  const solo = await measure(lab, ['oak'], [{ cable: unshaped, said: whole }], rounds)
  result.memory.push(...(await soloMemory(lab, whole)))
  await lab.post('/fleet/v1/models/unload', { model: stand.modelName })
  await lab.leave('oak')
  await finish(solo)
  for (const count of [2, 3]) {
    const nodes = stand.names.slice(0, count)
    say(`${count} members`)
    const budget = { HOLON_MEMORY_BUDGET_MB: String(stand.budgetFor(whole, 1 / count)) }
    for (const name of nodes) await lab.join(name, budget)
    const said = await previews(lab, nodes, cables)
    result.learned = said[0]!.said.because.filter((reason) => reason.includes('by its own answers'))
    await stand.formPool(lab, nodes)
    const rows = await measure(lab, nodes, said, rounds)
    result.memory.push(...(await poolMemory(lab, said[0]!.said)))
    await stand.endPool(lab)
    for (const name of nodes) await lab.leave(name)
    await finish(rows)
  }
  return result
}

type Row = Omit<PredictedRow, 'drift'>

interface Said {
  cable: Cable
  said: PreviewPlacement
}

async function previews(lab: Lab, nodes: readonly string[], cables: readonly Cable[]): Promise<Said[]> {
  const all: Said[] = []
  for (const cable of cables) {
    lab.lay(cable)
    await stand.measureLinks(lab, nodes)
    all.push({ cable, said: await stand.preview(lab, nodes) })
  }
  lab.lay(unshaped)
  return all
}

async function measure(
  lab: Lab,
  nodes: readonly string[],
  said: readonly Said[],
  rounds: number,
): Promise<Row[]> {
  const by = said.map(() => [] as stand.Speeds[])
  await stand.answered(lab, stand.question())
  for (let round = 0; round < rounds; round++) {
    for (const [at, { cable }] of said.entries()) {
      lab.lay(cable)
      // The first answer over another cable finds TCP used to the old one.
      await stand.answered(lab, stand.shortQuestion(8))
      by[at]!.push(await stand.answered(lab, stand.question()))
    }
  }
  lab.lay(unshaped)
  return said.map(({ cable, said: { link, members, decodeTokS, prefillTokS } }, at) => {
    const measured = (which: 'decodeTokS' | 'prefillTokS') => median(by[at]!.map((one) => one[which]))
    return {
      members: nodes.length,
      cable: cable.name,
      link: link && { MBPerS: link.bytesS / 1e6, rttMs: link.latencyMs * 2 },
      layers: members.map((member) => member.layers),
      decodeTokS: { predicted: decodeTokS.expected, measured: measured('decodeTokS') },
      prefillTokS: { predicted: prefillTokS.expected, measured: measured('prefillTokS') },
    }
  })
}

async function soloMemory(lab: Lab, said: PreviewPlacement): Promise<MemoryRow[]> {
  const { models } = await lab.get<{ models: (RunningModel & Partial<NodeModel>)[] }>('/fleet/v1/ps')
  const measured = models.find(({ id }) => id === stand.modelName)?.memoryBytes
  return rowsOf(said, () => measured ?? null)
}

async function poolMemory(lab: Lab, said: PreviewPlacement): Promise<MemoryRow[]> {
  const view = await stand.poolView(lab)
  return rowsOf(said, (node) => view?.members.find((member) => member.node === node)?.memoryBytes ?? null)
}

function rowsOf({ members }: PreviewPlacement, measuredOf: (node: string) => number | null): MemoryRow[] {
  return members.flatMap(({ node, memory }) => {
    const measured = measuredOf(node)
    if (measured === null || memory === null) return []
    return [{ members: members.length, node, bytes: { predicted: memory.totalBytes, measured } }]
  })
}
