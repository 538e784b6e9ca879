/**
 * The hub beside other gateways: the same load from the same client to the same engine through each, taking turns in
 * one run, so that a noisy machine disturbs all alike. Read the ratios. CPU is that of the gateway's process alone,
 * which is the honest measure where client, gateway and engine share a few cores.
 *
 * `node dist/bench/gateways.js [--json] [--quick]`
 */
import { childEntry } from '../core/child-entry.ts'
import { median } from '../core/median.ts'
import { cpuOfProcess, type Gateway } from './gateways/gateway.ts'
import { startNginx } from './gateways/nginx.ts'
import { startPortkey } from './gateways/portkey.ts'
import { questions } from './hub-overhead/bodies.ts'
import { Child, hubProgram } from './hub-overhead/child.ts'
import { runLoad } from './hub-overhead/load.ts'

const loads = ['requests', 'streams', 'paced'] as const
type Load = (typeof loads)[number]

const quick = process.argv.includes('--quick')
const asJson = process.argv.includes('--json')
const rounds = quick ? 3 : 7
const roundMs = quick ? 500 : 1_000
const connections = 64

const bodies: Record<Load, Buffer> = {
  requests: questions.json,
  streams: questions.stream,
  paced: questions.paced,
}

interface Round {
  /** Answers or, of streams, events. */
  perS: number
  /** Of the gateway's process, for each of them. */
  cpuUs: number
}

export interface Comparison {
  gateways: { name: string; version: string; figures: Record<Load, Round> | { failed: string } }[]
  /** Hub / other, each the median over rounds: of speeds more is better, of CPU less. */
  hubAgainst: Record<string, Record<Load, Round>>
  missing: string[]
  rounds: number
}

async function startChild(name: string, path: string, args: string[]): Promise<Gateway> {
  const child = new Child(path, args)
  return {
    name,
    version: name === 'hub' ? 'this one' : 'node:http and undici',
    origin: await child.origin,
    headers: {},
    cpuUs: async () => cpuOfProcess(child.process.pid!),
    stop: () => child.stop(),
  }
}

async function measureRound(gateway: Gateway, load: Load): Promise<Round> {
  const before = await gateway.cpuUs()
  const { origin, headers } = gateway
  const { answers, events, seconds } = await runLoad({
    origin,
    headers,
    body: bodies[load],
    connections,
    forMs: roundMs,
  })
  const units = load === 'requests' ? answers : events
  return { perS: units / seconds, cpuUs: ((await gateway.cpuUs()) - before) / units }
}

async function warm({ origin, headers }: Gateway): Promise<void> {
  const answers = quick ? 1_000 : 3_000
  await runLoad({ origin, headers, body: questions.json, connections, answers })
  await runLoad({ origin, headers, body: questions.stream, connections, answers: answers / 10 })
}

/** Takes turns; a gateway that fails is told of and left out. */
async function takeTurns(gateways: Gateway[]) {
  const results = new Map<Gateway, Record<Load, Round[]>>()
  const failed = new Map<Gateway, string>()
  const attempt = async (gateway: Gateway, work: () => Promise<void>) => {
    if (failed.has(gateway)) return
    try {
      await work()
    } catch (error) {
      failed.set(gateway, (error as Error).message)
    }
  }
  for (const gateway of gateways) {
    results.set(gateway, { requests: [], streams: [], paced: [] })
    await attempt(gateway, () => warm(gateway))
  }
  for (const load of loads) {
    for (let round = 0; round < rounds; round++) {
      for (let turn = 0; turn < gateways.length; turn++) {
        const gateway = gateways[(turn + round) % gateways.length]!
        await attempt(gateway, async () => {
          results.get(gateway)![load].push(await measureRound(gateway, load))
        })
      }
    }
  }
  return { results, failed }
}

const middle = (of: Round[]): Round => ({
  perS: median(of.map((round) => round.perS)),
  cpuUs: median(of.map((round) => round.cpuUs)),
})

async function compare(): Promise<Comparison> {
  const here = import.meta.url
  const engine = await startChild('engine', childEntry(here, './hub-overhead/upstream.ts'), [])
  const gateways: Gateway[] = []
  const missing: string[] = []
  try {
    gateways.push(await startChild('hub', hubProgram(here), [engine.origin, 'no-books']))
    gateways.push(await startChild('bare', childEntry(here, './hub-overhead/bare-relay.ts'), [engine.origin]))
    const nginx = await startNginx(engine.origin)
    if (nginx) gateways.push(nginx)
    else
      missing.push(
        'nginx is not installed: `sudo apt install nginx` (or `brew install nginx`), then run this again',
      )
    const portkey = await startPortkey(engine.origin, (text) => process.stderr.write(`${text}\n`))
    if (portkey) gateways.push(portkey)
    else missing.push('Portkey could not be installed from npm: check the network and run this again')
    const { results, failed } = await takeTurns(gateways)
    return summarise(gateways, results, failed, missing)
  } finally {
    await Promise.all([...gateways, engine].map((gateway) => gateway.stop().catch(() => undefined)))
  }
}

function summarise(
  gateways: Gateway[],
  results: Map<Gateway, Record<Load, Round[]>>,
  failed: Map<Gateway, string>,
  missing: string[],
): Comparison {
  const [hub, ...others] = gateways
  const of = (gateway: Gateway) => results.get(gateway)!
  const each = <T>(value: (load: Load) => T): Record<Load, T> => ({
    requests: value('requests'),
    streams: value('streams'),
    paced: value('paced'),
  })
  const hubAgainst: Comparison['hubAgainst'] = {}
  for (const other of others) {
    if (failed.has(other) || failed.has(hub!)) continue
    hubAgainst[other.name] = each((load) =>
      middle(
        of(hub!)[load].map((round, index) => {
          const beside = of(other)[load][index]!
          return { perS: round.perS / beside.perS, cpuUs: round.cpuUs / beside.cpuUs }
        }),
      ),
    )
  }
  return {
    gateways: gateways.map((gateway) => ({
      name: gateway.name,
      version: gateway.version,
      figures: failed.has(gateway)
        ? { failed: failed.get(gateway)! }
        : each((load) => middle(of(gateway)[load])),
    })),
    hubAgainst,
    missing,
    rounds,
  }
}

function toText({ gateways, hubAgainst, missing }: Comparison): string {
  const heads = ['requests/s', 'CPU us', 'events/s', 'CPU us', 'paced/s', 'CPU us']
  const row = (name: string, cells: string[]) =>
    `${name.padEnd(28)}${cells.map((cell) => cell.padStart(11)).join('')}`
  const cells = (figures: Record<Load, Round>) =>
    loads.flatMap((load) => {
      const { perS, cpuUs } = figures[load]
      return [perS.toFixed(0), cpuUs.toFixed(1)]
    })
  const lines = gateways.map(({ name, version, figures }) =>
    'failed' in figures
      ? row(`${name} (${version})`, [`failed: ${figures.failed}`])
      : row(`${name} (${version})`, cells(figures)),
  )
  const ratios = Object.entries(hubAgainst).map(
    ([name, { requests, streams, paced }]) =>
      `hub / ${name}: ${requests.perS.toFixed(2)} of the requests/s at ${requests.cpuUs.toFixed(2)} of the CPU; ` +
      `${streams.perS.toFixed(2)} of the events/s at ${streams.cpuUs.toFixed(2)} of the CPU per event, ` +
      `${paced.cpuUs.toFixed(2)} when paced`,
  )
  return `${[row('64 connections', heads), ...lines, '', ...ratios, ...missing].join('\n')}\n`
}

const result = await compare()
process.stdout.write(asJson ? `${JSON.stringify(result)}\n` : toText(result))
