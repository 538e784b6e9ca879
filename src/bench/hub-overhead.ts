/**
 * What the hub costs: the same load straight to an engine, through a bare relay, and through the hub, taking turns in
 * one run, so that a noisy machine disturbs all three alike. Read the ratios: of all that was answered in all the
 * turns' time. Not of medians: the hub loads its books in bursts, which a median of rounds leaves out. For the same
 * reason a turn ends when its server is idle again, so that no burst falls into another's turn. Turns are short and
 * many, since the machine's other work comes and goes within seconds.
 *
 * Rooms beside each other do not import each other, so the hub runs as a child program like the two others. The hub's
 * database is open from the start, so that loading the books is part of what a request costs; `--quick` stays below
 * the number of requests that starts it.
 *
 * `node dist/bench/hub-overhead.js [--json] [--quick]`
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { childEntry } from '../core/child-entry.ts'
import { median } from '../core/median.ts'
import { cpuOfProcess } from './gateways/gateway.ts'
import { questions } from './hub-overhead/bodies.ts'
import { Child, hubProgram } from './hub-overhead/child.ts'
import { type LoadResult, runLoad } from './hub-overhead/load.ts'

const targets = ['direct', 'bare', 'hub'] as const
type Target = (typeof targets)[number]

export interface Overhead {
  /** Small JSON over 64 connections. */
  requestsPerS: Record<Target, number>
  requestCpuUs: Record<Target, number>
  /** One connection, one request after the other. Milliseconds. */
  p50Ms: Record<Target, number>
  /** 64 streams at once. */
  eventsPerS: Record<Target, number>
  eventCpuUs: Record<Target, number>
  /** Hub / bare relay: 1 is equal, of speeds more and of CPU less is better. */
  ratio: { requests: number; requestCpu: number; events: number; eventCpu: number }
  /** The quartiles of the rounds' own ratios: how noisy the machine was. */
  quartiles: { requests: [number, number]; events: [number, number] }
  addedP50Ms: { bare: number; hub: number }
  /** The hub's memory before and after 10,000 requests, collected. */
  memory: {
    requests: number
    heapBeforeBytes: number
    heapAfterBytes: number
    rssBeforeBytes: number
    rssAfterBytes: number
  }
  rounds: Rounds
}

/** Turns of each of the three. */
export interface Rounds {
  requests: number
  single: number
  streams: number
}

export interface OverheadPlan {
  rounds: Rounds
  /** Length of one turn's load, milliseconds. */
  turnMs: number
  /** Each target answers as many before anything counts: optimising compilers need thousands of calls. */
  warmAnswers: number
  memoryRequests: number
  /** Opens the database before measuring (seconds, once per home). */
  books: boolean
}

const full: OverheadPlan = {
  rounds: { requests: 48, single: 12, streams: 24 },
  turnMs: 300,
  warmAnswers: 5_000,
  memoryRequests: 10_000,
  books: true,
}
const quick: OverheadPlan = {
  rounds: { requests: 9, single: 5, streams: 6 },
  turnMs: 300,
  warmAnswers: 2_000,
  memoryRequests: 4_000,
  books: false,
}

/** Runs the whole bench. */
export async function measureOverhead(plan: OverheadPlan): Promise<Overhead> {
  const here = import.meta.url
  const upstream = new Child(childEntry(here, './hub-overhead/upstream.ts'), [])
  const engine = await upstream.origin
  const bare = new Child(childEntry(here, './hub-overhead/bare-relay.ts'), [engine])
  const hub = new Child(hubProgram(here), [engine, plan.books ? 'books' : 'no-books'])
  const children: Record<Target, Child> = { direct: upstream, bare, hub }
  try {
    for (const target of targets) {
      await load(children[target], questions.json, 64, { answers: plan.warmAnswers })
      await load(children[target], questions.stream, 64, { answers: plan.warmAnswers / 20 })
    }
    const { rounds, turnMs: forMs } = plan
    const requests = await takeTurns(children, rounds.requests, (child) =>
      load(child, questions.json, 64, { forMs }),
    )
    const single = await takeTurns(children, rounds.single, (child) =>
      load(child, questions.json, 1, { forMs }),
    )
    const streams = await takeTurns(children, rounds.streams, (child) =>
      load(child, questions.stream, 64, { forMs }),
    )
    const memory = await measureMemory(hub, plan.memoryRequests)
    return summarise(requests, single, streams, memory, plan.rounds)
  } finally {
    await Promise.all([upstream, bare, hub].map((child) => child.stop().catch(() => undefined)))
  }
}

interface Round extends LoadResult {
  /** CPU of the server under test, microseconds. */
  cpuUs: number
}

/** A server that used no more of so long a time is idle: one step of the kernel's own clock. */
const idleUs = 10_000
const idleLookMs = 50

async function load(
  child: Child,
  body: Buffer,
  connections: number,
  until: { forMs?: number; answers?: number },
): Promise<Round> {
  const before = await child.use()
  const result = await runLoad({ origin: await child.origin, body, connections, ...until })
  await untilIdle(child)
  const after = await child.use()
  return { ...result, cpuUs: after.cpuUs - before.cpuCollectedUs }
}

/** What a server still does after its load counts as its own CPU, and is over before another's turn. */
async function untilIdle(child: Child): Promise<void> {
  const pid = child.process.pid!
  for (let before = -1, now = cpuOfProcess(pid); now - before > idleUs; ) {
    await sleep(idleLookMs)
    before = now
    now = cpuOfProcess(pid)
  }
}

async function takeTurns(
  children: Record<Target, Child>,
  rounds: number,
  measure: (child: Child) => Promise<Round>,
): Promise<Record<Target, Round[]>> {
  const results: Record<Target, Round[]> = { direct: [], bare: [], hub: [] }
  for (let round = 0; round < rounds; round++) {
    // The order turns, so that none always follows the same.
    for (let turn = 0; turn < targets.length; turn++) {
      const target = targets[(turn + round) % targets.length]!
      results[target].push(await measure(children[target]))
    }
  }
  return results
}

async function measureMemory(hub: Child, requests: number): Promise<Overhead['memory']> {
  await load(hub, questions.json, 64, { answers: 2000 })
  const before = await hub.use()
  await load(hub, questions.json, 64, { answers: requests })
  const after = await hub.use()
  return {
    requests,
    heapBeforeBytes: before.heapBytes,
    heapAfterBytes: after.heapBytes,
    rssBeforeBytes: before.rssBytes,
    rssAfterBytes: after.rssBytes,
  }
}

type Figure = (round: Round) => number
const answersOf: Figure = ({ answers }) => answers
const eventsOf: Figure = ({ events }) => events
const secondsOf: Figure = ({ seconds }) => seconds
const cpuOf: Figure = ({ cpuUs }) => cpuUs

/** Of all rounds together, for each target. */
function quotient(rounds: Record<Target, Round[]>, of: Figure, per: Figure): Record<Target, number> {
  const sum = (target: Target, figure: Figure) =>
    rounds[target].reduce((total, round) => total + figure(round), 0)
  const each = (target: Target) => sum(target, of) / sum(target, per)
  return { direct: each('direct'), bare: each('bare'), hub: each('hub') }
}

/** The quartiles of hub / bare relay over the rounds. */
function quartilesOf(rounds: Record<Target, Round[]>, of: Figure): [number, number] {
  const speed = (round: Round) => of(round) / round.seconds
  const ratios = rounds.hub.map((hub, round) => speed(hub) / speed(rounds.bare[round]!)).sort((a, b) => a - b)
  return [ratios[Math.floor(ratios.length / 4)]!, ratios[Math.floor((ratios.length * 3) / 4)]!]
}

function summarise(
  requests: Record<Target, Round[]>,
  single: Record<Target, Round[]>,
  streams: Record<Target, Round[]>,
  memory: Overhead['memory'],
  rounds: Rounds,
): Overhead {
  const requestsPerS = quotient(requests, answersOf, secondsOf)
  const requestCpuUs = quotient(requests, cpuOf, answersOf)
  const eventsPerS = quotient(streams, eventsOf, secondsOf)
  const eventCpuUs = quotient(streams, cpuOf, eventsOf)
  const p50 = (target: Target) => median(single[target].map((round) => median(round.latencies)))
  const p50Ms = { direct: p50('direct'), bare: p50('bare'), hub: p50('hub') }
  const ratio = ({ hub, bare }: Record<Target, number>) => hub / bare
  return {
    requestsPerS,
    requestCpuUs,
    p50Ms,
    eventsPerS,
    eventCpuUs,
    ratio: {
      requests: ratio(requestsPerS),
      requestCpu: ratio(requestCpuUs),
      events: ratio(eventsPerS),
      eventCpu: ratio(eventCpuUs),
    },
    quartiles: { requests: quartilesOf(requests, answersOf), events: quartilesOf(streams, eventsOf) },
    addedP50Ms: { bare: p50Ms.bare - p50Ms.direct, hub: p50Ms.hub - p50Ms.direct },
    memory,
    rounds,
  }
}

function toText(result: Overhead): string {
  const line = (name: string, row: Record<Target, number>, digits: number) =>
    `${name.padEnd(34)}${targets.map((target) => row[target].toFixed(digits).padStart(10)).join('')}`
  const { memory, ratio, addedP50Ms } = result
  const spread = ([from, to]: [number, number]) => `${from.toFixed(2)} and ${to.toFixed(2)}`
  const mb = (bytes: number) => (bytes / 1e6).toFixed(1)
  return [
    `${''.padEnd(34)}${targets.map((target) => target.padStart(10)).join('')}`,
    line('requests/s, 64 connections', result.requestsPerS, 0),
    line('server CPU per request, us', result.requestCpuUs, 1),
    line('p50 of one connection, ms', result.p50Ms, 3),
    line('stream events/s, 64 streams', result.eventsPerS, 0),
    line('server CPU per event, us', result.eventCpuUs, 2),
    '',
    `hub / bare relay: ${ratio.requests.toFixed(2)} of the requests/s with ${ratio.requestCpu.toFixed(2)} of the CPU per request, ${ratio.events.toFixed(2)} of the stream events/s with ${ratio.eventCpu.toFixed(2)} of the CPU per event; adds ${addedP50Ms.hub.toFixed(2)} ms to a request (the bare relay ${addedP50Ms.bare.toFixed(2)} ms)`,
    `half of the rounds lie between ${spread(result.quartiles.requests)} of the requests/s and ${spread(result.quartiles.events)} of the stream events/s`,
    `hub memory over ${memory.requests} requests: heap ${mb(memory.heapBeforeBytes)} -> ${mb(memory.heapAfterBytes)} MB, resident ${mb(memory.rssBeforeBytes)} -> ${mb(memory.rssAfterBytes)} MB`,
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await measureOverhead(process.argv.includes('--quick') ? quick : full)
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(result)}\n` : toText(result))
}
