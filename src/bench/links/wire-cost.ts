/**
 * Part 2: the encrypted wire against none, for the same pool on the same cables, in turns. Without it llama.cpp's parts
 * speak to each other directly, as on a cable that the owner vouched for.
 */
import { median } from '../../core/median.ts'
import { type Cable, unshaped } from '../lab/cable.ts'
import { descendants } from '../lab/holon-process.ts'
import type { Lab } from '../lab/lab.ts'
import { spentByAllMs } from '../lab/processor-time.ts'
import * as stand from './stand.ts'

const ways = ['plain', 'encrypted'] as const
export type Way = (typeof ways)[number]

export interface WireFigures {
  decodeTokS: number
  prefillTokS: number
  /** Processor time of agents and engines on all members, milliseconds for one decoded token. */
  decodeCpuMs: number
  /** The same of the agents alone, which carry the wire. */
  decodeAgentCpuMs: number
  prefillAgentCpuMs: number
}

export interface WireRow {
  cable: string
  plain: WireFigures
  encrypted: WireFigures
  /** Encrypted against plain, the median of neighbours in time. */
  ratio: { decodeTokS: number; prefillTokS: number; decodeCpuMs: number }
}

const tokens = 48

export async function wireCost(lab: Lab, cables: readonly Cable[], rounds: number): Promise<WireRow[]> {
  const by = cables.map(() => ({ plain: [] as WireFigures[], encrypted: [] as WireFigures[] }))
  await stand.joinAll(lab, 1 / stand.names.length)
  for (let round = 0; round < rounds; round++) {
    for (const way of ways) {
      const vouched = way === 'plain' ? stand.names.map((name) => `${name}:eth0`) : []
      await stand.formPool(lab, stand.names, vouched)
      await demandWire(lab, way)
      await stand.answered(lab, stand.question())
      for (const [at, cable] of cables.entries()) {
        lab.lay(cable)
        await stand.answered(lab, stand.shortQuestion(8))
        by[at]![way].push(await figures(lab))
      }
      lab.lay(unshaped)
      await stand.endPool(lab)
    }
  }
  for (const name of stand.names) await lab.leave(name)
  return cables.map(({ name }, at) => summarise(name, by[at]!))
}

/** A pool that silently encrypts, or does not, would make the comparison one of nothing. */
async function demandWire(lab: Lab, way: Way): Promise<void> {
  const view = await stand.poolView(lab)
  const wires = new Set(view?.members.map(({ wire }) => wire))
  const wanted = way === 'plain' ? 'isolated' : 'encrypted'
  if (wires.size !== 1 || !wires.has(wanted))
    throw new Error(`the wire is ${[...wires].join(', ')}, not ${wanted}`)
}

async function figures(lab: Lab): Promise<WireFigures> {
  const before = processorMs(lab)
  const decode = await stand.answered(lab, stand.shortQuestion(tokens))
  const between = processorMs(lab)
  const prefill = await stand.answered(lab, stand.longPrompt())
  const after = processorMs(lab)
  return {
    decodeTokS: decode.decodeTokS,
    prefillTokS: prefill.prefillTokS,
    decodeCpuMs: (between.all - before.all) / decode.tokens,
    decodeAgentCpuMs: (between.agents - before.agents) / decode.tokens,
    prefillAgentCpuMs: after.agents - between.agents,
  }
}

/** Processor time that was spent until now by the members' agents and by all of their processes. */
function processorMs(lab: Lab): { agents: number; all: number } {
  const agents = stand.names.map((name) => lab.nodes[name]!.running?.child.pid ?? 0)
  const all = agents.flatMap((pid) => [pid, ...descendants(pid)])
  return { agents: spentByAllMs(agents), all: spentByAllMs(all) }
}

function summarise(cable: string, by: Record<Way, WireFigures[]>): WireRow {
  const of = (way: Way, which: keyof WireFigures) => median(by[way].map((one) => one[which]))
  const all = (way: Way): WireFigures => ({
    decodeTokS: of(way, 'decodeTokS'),
    prefillTokS: of(way, 'prefillTokS'),
    decodeCpuMs: of(way, 'decodeCpuMs'),
    decodeAgentCpuMs: of(way, 'decodeAgentCpuMs'),
    prefillAgentCpuMs: of(way, 'prefillAgentCpuMs'),
  })
  const ratio = (which: keyof WireFigures) =>
    median(by.encrypted.map((one, round) => one[which] / by.plain[round]![which]))
  return {
    ...{ cable, plain: all('plain'), encrypted: all('encrypted') },
    ratio: {
      decodeTokS: ratio('decodeTokS'),
      prefillTokS: ratio('prefillTokS'),
      decodeCpuMs: ratio('decodeCpuMs'),
    },
  }
}
