/**
 * What being managed costs a pool: llama.cpp RPC over two workers run by hand, the same parts under Holon on an isolated
 * link, and over the encrypted wire; the same model, split and settings, requests in turns. All on this machine, so the
 * processors are shared by what would be three machines: read the ratios.
 *
 * `node dist/bench/pool-bench.js [--json] [--quick]`
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { homeAt } from '../core/home.ts'
import { silentLog } from '../core/log.ts'
import { median } from '../core/median.ts'
import { findLlamaServer, llamaServerPlaces } from '../engines/llama-server/detect.ts'
import { commandLine } from '../engines/llama-server/launch.ts'
import { serveLlama } from '../engines/llama-server/serve.ts'
import { llamaRpc } from '../pool/llama-rpc/index.ts'
import { workerThreads } from '../pool/llama-rpc/inspect.ts'
import { deviceArguments, headSettings } from '../pool/llama-rpc/layout.ts'
import { startWorker } from '../pool/llama-rpc/worker-process.ts'
import type { MemberHost } from '../pool/pool-engine.ts'
import type { OpenPart, PartSpec } from '../protocol/pool.ts'
import { halfBillion, writeRandomGguf } from './random-gguf.ts'

const ways = ['byHand', 'isolated', 'encrypted'] as const
type Way = (typeof ways)[number]

interface Round {
  decodeTokS: number
  prefillTokS: number
}

export interface PoolCost {
  byHand: Round & { loadS: number }
  isolated: Round & { loadS: number }
  encrypted: Round & { loadS: number }
  /** Managed and encrypted against by hand, and against managed without encryption. 1 is as fast. */
  ratio: { managed: Round & { load: number }; encryption: Round }
  /** From the death of a worker until the same pool, started again, has answered a token. Seconds. */
  deathToTokenS: number
  rounds: number
}

interface Running {
  origin: string
  headers: Readonly<Record<string, string>>
  loadS: number
  stop(): Promise<void>
}

const quick = process.argv.includes('--quick')
const rounds = quick ? 1 : 4
const [decodeTokens, prefillTokens] = quick ? [8, 32] : [48, 256]
const shape = quick ? { ...halfBillion, layers: 6, vocab: 2000 } : { ...halfBillion, vocab: 32_000 }
const context = 1024
const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
const model = 'bench'
const { signal } = new AbortController()

const root = mkdtempSync(join(tmpdir(), 'holon-pool-bench-'))
const engines = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon', 'engines')
const modelPath = join(root, 'bench.gguf')
const members = hosts.map(
  (_, index): MemberHost => ({
    home: { ...homeAt(join(root, `m${index}`)), engines },
    log: silentLog,
    findModel: () => (index === 0 ? { path: modelPath, sizeBytes: 1 } : null),
    memory: () => ({ budgetBytes: 1e12, usedBytes: 0 }),
  }),
)

async function settingsOf(): Promise<Record<string, unknown>[]> {
  const facts = await Promise.all(members.map((member) => llamaRpc.inspect(member, model)))
  const layers = Math.floor((shape.layers ?? 12) / 3)
  const settings = llamaRpc.layout({
    ...{ model, strategy: 'pipeline', contextTokens: context, parallel: 1 },
    members: facts.map((each, index) => ({
      ...{ node: `m${index}`, layers, share: 1 / 3, limitBytes: 1e9, facts: each },
    })),
  })
  const threads = workerThreads()
  // A load is to be a load: no weights kept from the last one. By hand as many threads.
  return settings.map((each, rank) => ({ ...each, threads, ...(rank > 0 ? { cache: false } : {}) }))
}

function specsOf(mode: 'isolated' | 'encrypted', settings: Record<string, unknown>[]): PartSpec[] {
  const launch = randomBytes(8).toString('hex')
  const secrets = [1, 2].map(() => randomBytes(32).toString('base64url'))
  return settings.map((each, rank) => ({
    ...{ pool: mode, launch, engine: 'llama-rpc', rank, size: 3, model, settings: each },
    wire: {
      ...{ host: hosts[rank] ?? null, mode },
      peers:
        rank === 0
          ? secrets.map((secret, i) => ({ rank: i + 1, secret }))
          : [{ rank: 0, secret: secrets[rank - 1]! }],
    },
  }))
}

async function managed(
  mode: 'isolated' | 'encrypted',
  settings: Record<string, unknown>[],
): Promise<Running> {
  const startedAt = performance.now()
  const parts: OpenPart[] = []
  for (const spec of specsOf(mode, settings))
    parts.push(await llamaRpc.open(spec, members[spec.rank]!, signal))
  const peers = parts.flatMap(({ listening }, rank) => (listening ? [{ rank, ...listening }] : []))
  await Promise.all(parts.slice(1).map((part) => part.start([], { signal })))
  const head = await parts[0]!.start(peers, { signal })
  const { origin, headers } = head.lease!()
  const loadS = (performance.now() - startedAt) / 1000
  return {
    origin,
    headers,
    loadS,
    stop: async () => void (await Promise.all(parts.map((part) => part.stop()))),
  }
}

/** What a person who knows llama.cpp well would type. */
async function byHand(settings: Record<string, unknown>[]): Promise<Running> {
  const home = { ...homeAt(join(root, 'hand')), engines }
  const binary = await findLlamaServer(llamaServerPlaces(home), { rpc: true })
  if (!binary?.rpcWorker) throw new Error('llama.cpp with RPC is not installed: `npm run test:all` builds it')
  const head = headSettings.parse(settings[0])
  const startedAt = performance.now()
  const worker = {
    binary: binary.rpcWorker,
    host: '127.0.0.1',
    devices: ['CPU'],
    threads: workerThreads(),
    cache: null,
  }
  const workers = await Promise.all([1, 2].map(() => startWorker({ ...worker, rdma: false })))
  const args = commandLine(binary.flags, {
    ...{ modelId: model, modelPath, contextTokens: context, parallel: 1, threads: workerThreads() },
    ...{ embedding: false, pooling: null },
  })
  args.push(
    ...deviceArguments(
      head,
      shape.layers ?? 12,
      workers.map(({ port }) => `127.0.0.1:${port}`),
    ),
  )
  args.push('--cache-ram', '0')
  const quiet = { onProgress: () => undefined, onLog: () => undefined, signal }
  const served = await serveLlama({
    binary: binary.path,
    args,
    home,
    modelId: model,
    embedding: false,
    ...quiet,
  })
  const { origin, headers, child } = served
  const stop = async (): Promise<void> => {
    await child.stop(2000)
    await Promise.all(workers.map((each) => each.child.stop(500)))
  }
  return { origin, headers, loadS: (performance.now() - startedAt) / 1000, stop }
}

async function answer({ origin, headers }: Running, body: object): Promise<Timings> {
  const response = await fetch(`${origin}/v1/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ model, temperature: 0, ignore_eos: true, cache_prompt: false, ...body }),
  })
  if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`)
  return ((await response.json()) as { timings: Timings }).timings
}
interface Timings {
  predicted_per_second: number
  prompt_per_second: number
}

async function oneRound(group: Running): Promise<Round> {
  const decode = await answer(group, { prompt: 'a', max_tokens: decodeTokens })
  const prompt = Array.from({ length: prefillTokens }, (_, i) => 300 + (i % 1000))
  const prefill = await answer(group, { prompt, max_tokens: 1 })
  return { decodeTokS: decode.predicted_per_second, prefillTokS: prefill.prompt_per_second }
}

/** Both ends of a worker's death: the group is told of it, and started again as the hub would, without its waits. */
async function deathToToken(settings: Record<string, unknown>[]): Promise<number> {
  const parts: OpenPart[] = []
  for (const spec of specsOf('encrypted', settings))
    parts.push(await llamaRpc.open(spec, members[spec.rank]!, signal))
  const peers = parts.flatMap(({ listening }, rank) => (listening ? [{ rank, ...listening }] : []))
  await Promise.all(parts.slice(1).map((part) => part.start([], { signal })))
  await parts[0]!.start(peers, { signal })
  const startedAt = performance.now()
  // A member that is told to end its part, as one that goes away: its peers hear of it.
  void parts[1]!.stop()
  await parts[0]!.died
  await Promise.all(parts.map((part) => part.stop()))
  const again = await managed('encrypted', settings)
  const seconds = (performance.now() - startedAt) / 1000
  await again.stop()
  return seconds
}

async function measure(): Promise<PoolCost> {
  writeRandomGguf(modelPath, { ...shape, type: 'Q8_0', context, seed: 5, name: model })
  const settings = await settingsOf()
  const start: Record<Way, () => Promise<Running>> = {
    byHand: () => byHand(settings),
    isolated: () => managed('isolated', settings),
    encrypted: () => managed('encrypted', settings),
  }
  const loads: Record<Way, number[]> = { byHand: [], isolated: [], encrypted: [] }
  const by: Record<Way, Round[]> = { byHand: [], isolated: [], encrypted: [] }
  // The file is in the page cache from its writing; the first start pays for the programs.
  await (await start.byHand()).stop()
  for (let i = 0; i < rounds; i++) {
    for (const way of ways) {
      const group = await start[way]()
      try {
        loads[way].push(group.loadS)
        by[way].push(await oneRound(group))
      } finally {
        await group.stop()
      }
    }
  }
  return summarise(by, loads, await deathToToken(settings))
}

function summarise(by: Record<Way, Round[]>, loads: Record<Way, number[]>, deathToTokenS: number): PoolCost {
  const of = (way: Way) => ({
    decodeTokS: median(by[way].map((round) => round.decodeTokS)),
    prefillTokS: median(by[way].map((round) => round.prefillTokS)),
    loadS: median(loads[way]),
  })
  // Of neighbours in time, so that a slow minute weighs on both.
  const against = (way: Way): Round => ({
    decodeTokS: median(by.encrypted.map((round, i) => round.decodeTokS / by[way][i]!.decodeTokS)),
    prefillTokS: median(by.encrypted.map((round, i) => round.prefillTokS / by[way][i]!.prefillTokS)),
  })
  const load = median(loads.encrypted.map((seconds, i) => loads.byHand[i]! / seconds))
  return {
    ...{ byHand: of('byHand'), isolated: of('isolated'), encrypted: of('encrypted') },
    ratio: { managed: { ...against('byHand'), load }, encryption: against('isolated') },
    deathToTokenS,
    rounds,
  }
}

function toText(cost: PoolCost): string {
  const line = (way: Way): string => {
    const { decodeTokS, prefillTokS, loadS } = cost[way]
    return `${way.padEnd(10)} decode ${decodeTokS.toFixed(1)} tok/s   prefill ${prefillTokS.toFixed(1)} tok/s   load ${loadS.toFixed(2)} s\n`
  }
  const { managed: whole, encryption } = cost.ratio
  return (
    ways.map(line).join('') +
    `managed and encrypted against by hand: decode ${whole.decodeTokS.toFixed(2)}, prefill ${whole.prefillTokS.toFixed(2)}, load ${whole.load.toFixed(2)}\n` +
    `encrypted against isolated: decode ${encryption.decodeTokS.toFixed(2)}, prefill ${encryption.prefillTokS.toFixed(2)}\n` +
    `from a member's end to the next token: ${cost.deathToTokenS.toFixed(1)} s\n`
  )
}

if (!existsSync(engines)) throw new Error('no engines are installed: `npm run test:all` builds them')
try {
  const cost = await measure()
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(cost)}\n` : toText(cost))
} finally {
  rmSync(root, { recursive: true, force: true })
}
process.exit(0)
