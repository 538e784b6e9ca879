/**
 * Part 4: the pool that Holon manages against the same engine by hand, over a cable, in turns: the same machines, the same
 * programs, and the very command lines that Holon used, but for addresses. By hand the engines speak to each other in the
 * clear; no guard, no agent, no key. A load is timed to its first token, on workers that keep weights and have none yet. Two machines,
 * so that each has a processor: with three, two would share one, and what a relay does would be taken from another
 * machine's engine. Then once more with agents that may use the other processor, which waits while one machine computes: as
 * on machines with more processors than their engine uses.
 */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { median } from '../../core/median.ts'
import { type Cable, unshaped } from '../lab/cable.ts'
import { eventually } from '../lab/holon-process.ts'
import type { Lab } from '../lab/lab.ts'
import { spentByAllMs } from '../lab/processor-time.ts'
import * as stand from './stand.ts'

interface Speeds {
  decodeTokS: number
  prefillTokS: number
  /**
   * The share of an answer's time in which an engine computes; the rest goes by between the engines. How quick the host is for an
   * engine falls out of it: by hand one decoded a seventh slower in one run than an hour before, at the same share.
   */
  computing: number
}

interface Figures extends Speeds {
  loadS: number
}

interface Round {
  managed: Figures
  /** The same pool, its agents no longer held to the one processor of their machine's engine. */
  roomy: Speeds
  byHand: Figures
}

export interface HandRow extends Round {
  cable: string
  /** Managed against by hand, larger is better: the median of neighbours in time. */
  ratio: { managed: Figures; roomy: Speeds }
}

interface CommandLine {
  name: string
  pid: number
  program: string
  args: readonly string[]
}

const machines = stand.names.slice(0, 2)
const model = stand.largeName
const tokens = 64
/** One answer of a shared host's processor says little: two by the same engine were up to 9 % apart. */
const turns = 3
const workerPort = 50_052
const headPort = 50_080
const loadsWithinMs = 120_000

export async function byHand(lab: Lab, cables: readonly Cable[], rounds: number): Promise<HandRow[]> {
  stand.writeLargeModel(lab)
  await stand.joinAll(lab, 1 / machines.length, machines, model)
  const rows: HandRow[] = []
  for (const cable of cables) {
    lab.lay(cable)
    // As on any day but the first: the hub knows its links.
    await stand.measureLinks(lab, machines)
    const seen: Round[] = []
    for (let round = 0; round < rounds; round++) {
      const { lines, ...figures } = await managed(lab)
      seen.push({ ...figures, byHand: await hand(lab, lines) })
    }
    rows.push(summarise(cable.name, seen))
  }
  lab.lay(unshaped)
  for (const name of machines) await lab.leave(name)
  return rows
}

async function managed(lab: Lab): Promise<Omit<Round, 'byHand'> & { lines: CommandLine[] }> {
  for (const name of machines) keepNothing(join(lab.nodes[name]!.home, 'cache', 'llama-rpc'))
  const startedAt = performance.now()
  await stand.formPool(lab, machines, [], model)
  const loadS = (performance.now() - startedAt) / 1000
  const members = (await stand.poolView(lab))?.members ?? []
  const inOrder = [...members].sort((a, b) => (a.rank ?? 0) - (b.rank ?? 0))
  const lines = inOrder.map(({ node }) => ({ name: node, ...stand.engineOn(lab, node) }))
  const engines = lines.map(({ pid }) => pid)
  const measured = (): Promise<Speeds> => speeds((body) => stand.answered(lab, { ...body, model }), engines)
  const confined = await measured()
  lab.giveRoom(machines, true)
  const roomy = await measured()
  lab.giveRoom(machines, false)
  await stand.endPool(lab)
  return { managed: { loadS, ...confined }, roomy, lines }
}

/** @param lines the head's first, then the workers' in the order of their layers */
async function hand(lab: Lab, [head, ...workers]: CommandLine[]): Promise<Figures> {
  if (!head) throw new Error('the pool had no members')
  const address = (name: string): string => lab.nodes[name]!.machine.address
  const running: ChildProcess[] = []
  const visitor = lab.visit(`http://${address(head.name)}:${headPort}`, '')
  try {
    const caches = workers.map(({ name }) => join(lab.nodes[name]!.home, 'by-hand'))
    for (const cache of caches) keepNothing(cache)
    const startedAt = performance.now()
    for (const [at, { name, program, args }] of workers.entries()) {
      const line = [`LLAMA_CACHE=${caches[at]}`, program, ...workerArgs(args, address(name))]
      running.push(lab.run(name, 'env', line))
    }
    // Asked too early, a head gives up; a worker is there within a tenth of a second.
    await sleep(100)
    const endpoints = workers.map(({ name }) => `${address(name)}:${workerPort}`)
    running.push(lab.run(head.name, head.program, headArgs(head.args, address(head.name), endpoints)))
    const ask = async (body: Record<string, unknown>): Promise<stand.Speeds> => {
      const answer = await visitor.ask(body)
      if (answer.error !== null) throw new Error(`by hand: ${answer.error}`)
      return stand.speedsOf(answer)
    }
    const healthy = (): Promise<boolean> =>
      visitor.get('/health').then(
        () => true,
        () => false,
      )
    await eventually('the pool by hand to answer', healthy, loadsWithinMs)
    await ask(stand.shortQuestion(1))
    const loadS = (performance.now() - startedAt) / 1000
    // What starts them gives its own process away, so these are the engines.
    const engines = running.map(({ pid }) => pid ?? 0)
    return { loadS, ...(await speeds(ask, engines)) }
  } finally {
    visitor.leave()
    for (const child of running.reverse()) await stopped(child)
  }
}

async function speeds(
  ask: (body: Record<string, unknown>) => Promise<stand.Speeds>,
  engines: readonly number[],
): Promise<Speeds> {
  await ask(stand.shortQuestion(8))
  const decodes: number[] = []
  const prefills: number[] = []
  const shares: number[] = []
  for (let turn = 0; turn < turns; turn++) {
    const [askedAt, spent] = [performance.now(), spentByAllMs(engines)]
    decodes.push((await ask(stand.shortQuestion(tokens))).decodeTokS)
    shares.push((spentByAllMs(engines) - spent) / (performance.now() - askedAt))
    prefills.push((await ask(stand.longPrompt())).prefillTokS)
  }
  return { decodeTokS: median(decodes), prefillTokS: median(prefills), computing: median(shares) }
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

const keepNothing = (cache: string): void => rmSync(cache, { recursive: true, force: true })

function workerArgs(args: readonly string[], address: string): string[] {
  return [...without(args, ['-H', '-p']), '-H', address, '-p', String(workerPort)]
}

function headArgs(args: readonly string[], address: string, endpoints: readonly string[]): string[] {
  const rest = without(args, ['--host', '--port', '--rpc', '--api-key-file'])
  // The workers first: devices are named by them.
  return ['--rpc', endpoints.join(','), ...rest, '--host', address, '--port', String(headPort)]
}

/** @param options that are left out, each with its value */
function without(args: readonly string[], options: readonly string[]): string[] {
  return args.filter((arg, at) => !options.includes(arg) && !options.includes(args[at - 1] ?? ''))
}

function summarise(cable: string, seen: readonly Round[]): HandRow {
  const speedsOf = (figure: (round: Round, which: keyof Speeds) => number): Speeds => ({
    decodeTokS: median(seen.map((round) => figure(round, 'decodeTokS'))),
    prefillTokS: median(seen.map((round) => figure(round, 'prefillTokS'))),
    computing: median(seen.map((round) => figure(round, 'computing'))),
  })
  const loadS = (way: 'managed' | 'byHand'): number => median(seen.map((round) => round[way].loadS))
  return {
    cable,
    managed: { loadS: loadS('managed'), ...speedsOf(({ managed }, which) => managed[which]) },
    roomy: speedsOf(({ roomy }, which) => roomy[which]),
    byHand: { loadS: loadS('byHand'), ...speedsOf(({ byHand }, which) => byHand[which]) },
    ratio: {
      managed: {
        loadS: median(seen.map(({ managed, byHand }) => byHand.loadS / managed.loadS)),
        ...speedsOf(({ managed, byHand }, which) => managed[which] / byHand[which]),
      },
      roomy: speedsOf(({ roomy, byHand }, which) => roomy[which] / byHand[which]),
    },
  }
}
