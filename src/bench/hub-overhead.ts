/**
 * What the hub costs: the same load straight to an engine, through a bare relay, and through the hub, taking turns in
 * one run, so that a noisy machine disturbs all three alike. Read the ratios: each is the median over
 * rounds of two neighbouring turns. Rooms beside each other do not import each
 * other, so the hub runs as a child program like the two others. The hub's database is open from the start, so that
 * loading the books is part of what a request costs; `--quick` stays below the number of requests that starts it.
 *
 * `node dist/bench/hub-overhead.js [--json] [--quick]`
 */
import { fileURLToPath } from 'node:url'
import { childEntry } from '../core/child-entry.ts'
import { median } from '../core/median.ts'
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
  addedP50Ms: { bare: number; hub: number }
  /** The hub's memory before and after 10,000 requests, collected. */
  memory: {
    requests: number
    heapBeforeBytes: number
    heapAfterBytes: number
    rssBeforeBytes: number
    rssAfterBytes: number
  }
  rounds: number
}

export interface OverheadPlan {
  rounds: number
  /** Length of one measurement, milliseconds. */
  roundMs: number
  /** Each target answers as many before anything counts: optimising compilers need thousands of calls. */
  warmAnswers: number
  memoryRequests: number
  /** Opens the database before measuring (seconds, once per home). */
  books: boolean
}

const full: OverheadPlan = {
  rounds: 11,
  roundMs: 700,
  warmAnswers: 5_000,
  memoryRequests: 10_000,
  books: true,
}
const quick: OverheadPlan = {
  rounds: 5,
  roundMs: 400,
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
    const requests = await takeTurns(children, plan.rounds, (child) =>
      load(child, questions.json, 64, { forMs: plan.roundMs }),
    )
    const single = await takeTurns(children, plan.rounds, (child) =>
      load(child, questions.json, 1, { forMs: plan.roundMs / 2 }),
    )
    const streams = await takeTurns(children, plan.rounds, (child) =>
      load(child, questions.stream, 64, { forMs: plan.roundMs }),
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

async function load(
  child: Child,
  body: Buffer,
  connections: number,
  until: { forMs?: number; answers?: number },
): Promise<Round> {
  const before = await child.use()
  const result = await runLoad({ origin: await child.origin, body, connections, ...until })
  const after = await child.use()
  return { ...result, cpuUs: after.cpuUs - before.cpuCollectedUs }
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

const answersPerS = (round: Round): number => round.answers / round.seconds
const eventsRate = (round: Round): number => round.events / round.seconds
const cpuPerRequest = (round: Round): number => round.cpuUs / round.answers
const cpuPerEvent = (round: Round): number => round.cpuUs / round.events

/** Hub / bare relay: the median over rounds, since the machine's other work differs more from round to round. */
function pairedRatio(rounds: Record<Target, Round[]>, of: (round: Round) => number): number {
  return median(rounds.hub.map((hub, round) => of(hub) / of(rounds.bare[round]!)))
}

function summarise(
  requests: Record<Target, Round[]>,
  single: Record<Target, Round[]>,
  streams: Record<Target, Round[]>,
  memory: Overhead['memory'],
  rounds: number,
): Overhead {
  const each = (of: (target: Target) => number): Record<Target, number> => ({
    direct: of('direct'),
    bare: of('bare'),
    hub: of('hub'),
  })
  const requestsPerS = each((target) => median(requests[target].map(answersPerS)))
  const requestCpuUs = each((target) => median(requests[target].map(cpuPerRequest)))
  const eventsPerS = each((target) => median(streams[target].map(eventsRate)))
  const eventCpuUs = each((target) => median(streams[target].map(cpuPerEvent)))
  const p50Ms = each((target) => median(single[target].map((round) => median(round.latencies))))
  return {
    requestsPerS,
    requestCpuUs,
    p50Ms,
    eventsPerS,
    eventCpuUs,
    ratio: {
      requests: pairedRatio(requests, answersPerS),
      requestCpu: pairedRatio(requests, cpuPerRequest),
      events: pairedRatio(streams, eventsRate),
      eventCpu: pairedRatio(streams, cpuPerEvent),
    },
    addedP50Ms: { bare: p50Ms.bare - p50Ms.direct, hub: p50Ms.hub - p50Ms.direct },
    memory,
    rounds,
  }
}

function toText(result: Overhead): string {
  const line = (name: string, row: Record<Target, number>, digits: number) =>
    `${name.padEnd(34)}${targets.map((target) => row[target].toFixed(digits).padStart(10)).join('')}`
  const { memory, ratio, addedP50Ms } = result
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
    `hub memory over ${memory.requests} requests: heap ${mb(memory.heapBeforeBytes)} -> ${mb(memory.heapAfterBytes)} MB, resident ${mb(memory.rssBeforeBytes)} -> ${mb(memory.rssAfterBytes)} MB`,
    '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const result = await measureOverhead(process.argv.includes('--quick') ? quick : full)
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(result)}\n` : toText(result))
}
