/**
 * Part 4: the pool that Holon manages against the same engine by hand, over a cable, in turns: the same machines, the same
 * programs, and the very command lines that Holon used, but for addresses. By hand the engines speak to each other in the
 * clear; no guard, no agent, no key. A load is timed to its first token, on workers that have kept no weights.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../../core/median.ts'
import { type Cable, unshaped } from '../lab/cable.ts'
import type { Lab } from '../lab/lab.ts'
import * as stand from './stand.ts'

interface Figures {
  loadS: number
  decodeTokS: number
  prefillTokS: number
}

export interface HandRow {
  cable: string
  managed: Figures
  byHand: Figures
  /** Managed against by hand, larger is better: the median of neighbours in time. */
  ratio: Figures
}

interface CommandLine {
  name: string
  program: string
  args: readonly string[]
}

const tokens = 64
const workerPort = 50_052
const headPort = 50_080
const loadsWithinMs = 120_000

export async function byHand(lab: Lab, cables: readonly Cable[], rounds: number): Promise<HandRow[]> {
  await stand.joinAll(lab, 1 / stand.names.length)
  const rows: HandRow[] = []
  for (const cable of cables) {
    lab.lay(cable)
    // As on any day but the first: the hub knows its links.
    await stand.measureLinks(lab, stand.names)
    const pairs: { managed: Figures; byHand: Figures }[] = []
    for (let round = 0; round < rounds; round++) {
      const { figures, lines } = await managed(lab)
      pairs.push({ managed: figures, byHand: await hand(lab, lines) })
    }
    rows.push(summarise(cable.name, pairs))
  }
  lab.lay(unshaped)
  for (const name of stand.names) await lab.leave(name)
  return rows
}

async function managed(lab: Lab): Promise<{ figures: Figures; lines: CommandLine[] }> {
  for (const name of stand.names)
    rmSync(join(lab.nodes[name]!.home, 'cache', 'llama-rpc'), { recursive: true, force: true })
  const startedAt = performance.now()
  await stand.formPool(lab, stand.names)
  const loadS = (performance.now() - startedAt) / 1000
  const members = (await stand.poolView(lab))?.members ?? []
  const inOrder = [...members].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
  const lines = inOrder.map(({ node }) => ({ name: node, ...stand.engineOn(lab, node) }))
  const figures = { loadS, ...(await speeds((body) => stand.answered(lab, body))) }
  await stand.endPool(lab)
  return { figures, lines }
}

/** @param lines the head's first, then the workers' in the order of their layers */
async function hand(lab: Lab, [head, ...workers]: CommandLine[]): Promise<Figures> {
  if (!head) throw new Error('the pool had no members')
  const address = (name: string): string => lab.nodes[name]!.machine.address
  const running: ChildProcess[] = []
  const visitor = lab.visit(`http://${address(head.name)}:${headPort}`, '')
  try {
    const startedAt = performance.now()
    for (const { name, program, args } of workers)
      running.push(lab.run(name, program, workerArgs(args, address(name))))
    // Asked too early, a head gives up; a worker is there within a tenth of a second.
    await sleep(100)
    const endpoints = workers.map(({ name }) => `${address(name)}:${workerPort}`)
    running.push(lab.run(head.name, head.program, headArgs(head.args, address(head.name), endpoints)))
    const ask = async (body: Record<string, unknown>): Promise<stand.Speeds> => {
      const answer = await visitor.ask(body)
      if (answer.error !== null) throw new Error(`by hand: ${answer.error}`)
      return stand.speedsOf(answer)
    }
    for (;;) {
      const { error } = await visitor.ask(stand.shortQuestion(1))
      if (error === null) break
      if (performance.now() - startedAt > loadsWithinMs) throw new Error(`by hand: ${error}`)
      await sleep(20)
    }
    const loadS = (performance.now() - startedAt) / 1000
    return { loadS, ...(await speeds(ask)) }
  } finally {
    visitor.leave()
    for (const child of running.reverse()) await stopped(child)
  }
}

async function speeds(
  ask: (body: Record<string, unknown>) => Promise<stand.Speeds>,
): Promise<Omit<Figures, 'loadS'>> {
  await ask(stand.question())
  const { decodeTokS } = await ask(stand.shortQuestion(tokens))
  const { prefillTokS } = await ask(stand.longPrompt())
  return { decodeTokS, prefillTokS }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

/** Its own address and port; nothing kept on its disk. */
function workerArgs(args: readonly string[], address: string): string[] {
  return [...without(args, ['-H', '-p'], ['-c']), '-H', address, '-p', String(workerPort)]
}

function headArgs(args: readonly string[], address: string, endpoints: readonly string[]): string[] {
  const rest = without(args, ['--host', '--port', '--rpc', '--api-key-file'], [])
  // The workers first: devices are named by them.
  return ['--rpc', endpoints.join(','), ...rest, '--host', address, '--port', String(headPort)]
}

/** @param valued options that are left out with their value @param plain options that have none */
function without(args: readonly string[], valued: readonly string[], plain: readonly string[]): string[] {
  return args.filter((arg, at) => {
    const before = args[at - 1]
    return !valued.includes(arg) && !plain.includes(arg) && !(before !== undefined && valued.includes(before))
  })
}

function summarise(cable: string, pairs: readonly { managed: Figures; byHand: Figures }[]): HandRow {
  const of = (way: 'managed' | 'byHand', which: keyof Figures) => median(pairs.map((one) => one[way][which]))
  const all = (way: 'managed' | 'byHand'): Figures => ({
    loadS: of(way, 'loadS'),
    decodeTokS: of(way, 'decodeTokS'),
    prefillTokS: of(way, 'prefillTokS'),
  })
  const ratio = (which: keyof Figures) => median(pairs.map((one) => one.managed[which] / one.byHand[which]))
  return {
    ...{ cable, managed: all('managed'), byHand: all('byHand') },
    ratio: { loadS: 1 / ratio('loadS'), decodeTokS: ratio('decodeTokS'), prefillTokS: ratio('prefillTokS') },
  }
}
