/**
 * What being managed costs a pool: llama.cpp RPC over two workers run by hand, the same parts under Holon on an isolated
 * link, and over the encrypted wire; the same model, split, settings and command lines, in turns. A load by hand is from
 * the start of the first program to the first token; a managed one has all that `holon pool create` has its members do,
 * from the look at them to the same token, each member a process of its own. All on this machine, so the processors are
 * shared by what would be three machines: read the ratios.
 *
 * `node dist/bench/pool-bench.js [--json] [--quick]`
 */
import { type ChildProcess, fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { childEntry } from '../core/child-entry.ts'
import { homeAt } from '../core/home.ts'
import { median } from '../core/median.ts'
import { findLlamaServer, llamaServerPlaces } from '../engines/llama-server/detect.ts'
import { headCommand } from '../pool/llama-rpc/head-command.ts'
import { llamaRpc } from '../pool/llama-rpc/index.ts'
import { headSettings } from '../pool/llama-rpc/layout.ts'
import type { MemberFacts, PartSpec, PeerAddress } from '../protocol/pool.ts'
import { startByHand } from './pool-by-hand.ts'
import type { HeadAddress, Order } from './pool-member.ts'
import { halfBillion, type RandomGguf, writeRandomGguf } from './random-gguf.ts'

const ways = ['byHand', 'isolated', 'encrypted'] as const
type Way = (typeof ways)[number]
type Settings = Record<string, unknown>

interface Speed {
  decodeTokS: number
  prefillTokS: number
}

interface Load {
  model: string
  weightsGB: number
  /** Workers keep what they received, and had received it before. */
  kept: boolean
  loadS: Record<Way, number>
  /** By hand's time over the way's. 1 is as fast, more is faster. */
  ratio: { isolated: number; encrypted: number }
  rounds: number
}

export interface PoolCost {
  speed: Record<Way, Speed>
  /** Managed and encrypted against by hand, and against managed without encryption. 1 is as fast. */
  ratio: { managed: Speed; encryption: Speed }
  loads: Load[]
  /** From the end of a worker until the same pool, started again, has answered a token. Seconds. */
  deathToTokenS: number
}

interface Running extends HeadAddress {
  loadS: number
  stop(): Promise<void>
}

const quick = process.argv.includes('--quick')
const [decodeTokens, prefillTokens] = quick ? [8, 32] : [48, 256]
const context = 1024
/** Of each of three programs on what may be two processors: more would wait for each other in turns. */
const threads = 1
const hosts = ['127.0.0.1', '127.0.0.2', '127.0.0.3']
/** Its tensors are small enough to go without a fingerprint; start-up is half of its load. */
const small: RandomGguf = quick
  ? { ...halfBillion, layers: 6, vocab: 2000 }
  : { ...halfBillion, vocab: 32_000 }
/** Its tensors are above 10 MiB, as those of all models that anybody pools: each has its fingerprint taken. */
const large: RandomGguf = {
  ...{ layers: quick ? 3 : 15, embedding: 2048, heads: 16, kvHeads: 8, feedForward: 8192 },
  ...{ vocab: 32_000, context: 4096 },
}
const models: Record<string, RandomGguf> = { small, large }

const root = mkdtempSync(join(tmpdir(), 'holon-pool-bench-'))
const engines = join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'holon', 'engines')
const pathOf = (model: string): string => join(root, `${model}.gguf`)

class Member {
  private readonly child: ChildProcess

  constructor(index: number) {
    const args = [join(root, `m${index}`), engines, ...(index === 0 ? [root] : [])]
    this.child = fork(childEntry(import.meta.url, './pool-member.ts'), args)
  }

  async tell<T>(order: Order): Promise<T> {
    this.child.send(order)
    const [{ value, error }] = (await once(this.child, 'message')) as [{ value?: T; error?: string }]
    if (error !== undefined) throw new Error(error)
    return value as T
  }

  end(): void {
    this.child.disconnect()
  }
}

const members = hosts.map((_, index) => new Member(index))
const all = <T>(orderOf: (rank: number) => Order): Promise<T[]> =>
  Promise.all(members.map((member, rank) => member.tell<T>(orderOf(rank))))

/** As the hub does: asks the members what they bring, and lays the model out over them in thirds. */
async function layOut(model: string, keep: boolean): Promise<Settings[]> {
  const facts = await all<MemberFacts>(() => ({ do: 'inspect', model }))
  const layers = Math.floor((models[model]?.layers ?? 12) / 3)
  const settings = llamaRpc.layout({
    ...{ model, strategy: 'pipeline', contextTokens: context, parallel: 1 },
    members: facts.map((each, index) => ({
      ...{ node: `m${index}`, layers, share: 1 / 3, limitBytes: 4e9, facts: each },
    })),
  })
  return settings.map((each, rank) => ({ ...each, threads, ...(rank > 0 ? { cache: keep } : {}) }))
}

function specsOf(mode: 'isolated' | 'encrypted', model: string, settings: Settings[]): PartSpec[] {
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

/** As the hub does: looked at, opened, the workers started, the head started. */
async function managed(mode: 'isolated' | 'encrypted', model: string, keep: boolean): Promise<Running> {
  const startedAt = performance.now()
  const specs = specsOf(mode, model, await layOut(model, keep))
  const ends = await all<{ host: string; port: number } | null>((rank) => ({
    do: 'open',
    spec: specs[rank]!,
  }))
  const peers = ends.flatMap((at, rank): PeerAddress[] => (at === null ? [] : [{ rank, ...at }]))
  const [head, ...workers] = members
  await Promise.all(workers.map((worker) => worker.tell({ do: 'start', peers: [] })))
  const at = await head!.tell<HeadAddress>({ do: 'start', peers })
  const loadS = (performance.now() - startedAt) / 1000
  return { ...at, loadS, stop: async () => void (await all(() => ({ do: 'stop' }))) }
}

async function byHand(model: string, keep: boolean): Promise<Running> {
  const home = { ...homeAt(join(root, 'hand')), engines }
  const binary = await findLlamaServer(llamaServerPlaces(home), { rpc: true })
  if (!binary?.rpcWorker) throw new Error('llama.cpp with RPC is not installed: `npm run test:all` builds it')
  // What a person knows beforehand, Holon finds out: that is in Holon's time alone.
  const settings = headSettings.parse((await layOut(model, keep))[0])
  const caches = [1, 2].map((index) => (keep ? join(home.cache, `w${index}`) : null))
  for (const cache of caches) if (cache !== null) mkdirSync(cache, { recursive: true })
  const startedAt = performance.now()
  const started = await startByHand({
    ...{ server: binary.path, worker: binary.rpcWorker, workerThreads: threads, caches },
    headArgs: (endpoints) =>
      headCommand({
        ...{ settings, modelId: model, modelPath: pathOf(model), flags: binary.flags, endpoints },
        shape: { layers: models[model]?.layers ?? 12, pooling: null },
      }),
    firstToken: (head) => answer(head, { prompt: 'ready', max_tokens: 1 }),
  })
  return { ...started, loadS: (performance.now() - startedAt) / 1000 }
}

function start(way: Way, model: string, keep: boolean): Promise<Running> {
  return way === 'byHand' ? byHand(model, keep) : managed(way, model, keep)
}

interface Timings {
  predicted_per_second: number
  prompt_per_second: number
}

async function answer({ origin, headers }: HeadAddress, body: object): Promise<Timings> {
  const response = await fetch(`${origin}/v1/completions`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify({ temperature: 0, ignore_eos: true, cache_prompt: false, ...body }),
  })
  if (!response.ok) throw new Error(`status ${response.status}: ${await response.text()}`)
  return ((await response.json()) as { timings: Timings }).timings
}

async function speedOf(group: HeadAddress): Promise<Speed> {
  const decode = await answer(group, { prompt: 'a', max_tokens: decodeTokens })
  const prompt = Array.from({ length: prefillTokens }, (_, i) => 300 + (i % 1000))
  const prefill = await answer(group, { prompt, max_tokens: 1 })
  return { decodeTokS: decode.predicted_per_second, prefillTokS: prefill.prompt_per_second }
}

/** Loads in turns; after each, `look` at the group that runs. */
async function loads(
  model: string,
  options: { keep: boolean; rounds: number; look?(way: Way, group: Running): Promise<void> },
): Promise<Load> {
  const { keep, rounds, look } = options
  // The file is in the page cache from its writing. The first start pays for the programs, or fills what is kept.
  for (const way of keep ? ways.slice(0, 2) : ways.slice(0, 1)) await (await start(way, model, keep)).stop()
  const seconds: Record<Way, number[]> = { byHand: [], isolated: [], encrypted: [] }
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < ways.length; turn++) {
      // There and back, so that no way always follows the same one.
      const way = ways[round % 2 === 0 ? turn : ways.length - 1 - turn]!
      const group = await start(way, model, keep)
      try {
        seconds[way].push(group.loadS)
        await look?.(way, group)
      } finally {
        await group.stop()
      }
    }
  }
  return { model, kept: keep, rounds, weightsGB: weightsGB(models[model]!), ...summary(seconds) }
}

/** At Q8_0: 34 bytes for 32 weights. */
function weightsGB(shape: RandomGguf): number {
  const { layers = 0, embedding = 0, feedForward = 0, heads = 1, kvHeads = 1, vocab = 0 } = shape
  const layer = embedding * (embedding * (2 + (2 * kvHeads) / heads) + 3 * feedForward)
  return ((layers * layer + vocab * embedding) * 34) / 32 / 1e9
}

function summary(seconds: Record<Way, number[]>): Pick<Load, 'loadS' | 'ratio'> {
  // Of neighbours in time, so that a slow minute weighs on both.
  const ratio = (way: Way): number =>
    median(seconds[way].map((each, i) => (seconds.byHand[i] ?? Number.NaN) / each))
  return {
    loadS: {
      byHand: median(seconds.byHand),
      isolated: median(seconds.isolated),
      encrypted: median(seconds.encrypted),
    },
    ratio: { isolated: ratio('isolated'), encrypted: ratio('encrypted') },
  }
}

/** Both ends of a worker's end: the group is told of it, and started again as the hub would, without its waits. */
async function deathToToken(model: string): Promise<number> {
  await managed('encrypted', model, false)
  const startedAt = performance.now()
  const [head, worker] = members
  const died = head!.tell({ do: 'awaitDeath' })
  // A member that is told to end its part, as one that goes away: its peers hear of it.
  await Promise.all([died, worker!.tell({ do: 'stop' })])
  await all(() => ({ do: 'stop' }))
  const again = await managed('encrypted', model, false)
  const seconds = (performance.now() - startedAt) / 1000
  await again.stop()
  return seconds
}

async function measure(): Promise<PoolCost> {
  for (const [name, shape] of Object.entries(models))
    writeRandomGguf(pathOf(name), { ...shape, type: 'Q8_0', seed: 5, name })
  const by: Record<Way, Speed[]> = { byHand: [], isolated: [], encrypted: [] }
  const look = async (way: Way, group: Running) => void by[way].push(await speedOf(group))
  const [many, few] = quick ? [1, 1] : [6, 4]
  const told: Load[] = []
  for (const each of [
    { model: 'small', keep: false, rounds: many, look },
    { model: 'large', keep: false, rounds: few },
    { model: 'large', keep: true, rounds: few },
  ]) {
    told.push(await loads(each.model, each))
    process.stderr.write(loadLine(told.at(-1)!))
  }
  const of = (way: Way): Speed => ({
    decodeTokS: median(by[way].map((each) => each.decodeTokS)),
    prefillTokS: median(by[way].map((each) => each.prefillTokS)),
  })
  const against = (way: Way): Speed => ({
    decodeTokS: median(by.encrypted.map((each, i) => each.decodeTokS / by[way][i]!.decodeTokS)),
    prefillTokS: median(by.encrypted.map((each, i) => each.prefillTokS / by[way][i]!.prefillTokS)),
  })
  return {
    speed: { byHand: of('byHand'), isolated: of('isolated'), encrypted: of('encrypted') },
    ratio: { managed: against('byHand'), encryption: against('isolated') },
    loads: told,
    deathToTokenS: await deathToToken('small'),
  }
}

function loadLine({ model, weightsGB: gb, kept, loadS, ratio }: Load): string {
  const name = `load of ${gb.toFixed(2)} GB (${model}${kept ? ', weights kept' : ''})`
  const times = ways.map((way) => `${way} ${loadS[way].toFixed(2)} s`).join(', ')
  return `${name}: ${times}; by hand / isolated ${ratio.isolated.toFixed(2)}, / encrypted ${ratio.encrypted.toFixed(2)}\n`
}

function toText({ speed, ratio, loads: told, deathToTokenS }: PoolCost): string {
  const speeds = ways.map((way) => {
    const { decodeTokS, prefillTokS } = speed[way]
    return `${way.padEnd(10)} decode ${decodeTokS.toFixed(1)} tok/s   prefill ${prefillTokS.toFixed(1)} tok/s\n`
  })
  const { managed: whole, encryption } = ratio
  return (
    speeds.join('') +
    `managed and encrypted against by hand: decode ${whole.decodeTokS.toFixed(2)}, prefill ${whole.prefillTokS.toFixed(2)}\n` +
    `encrypted against isolated: decode ${encryption.decodeTokS.toFixed(2)}, prefill ${encryption.prefillTokS.toFixed(2)}\n` +
    told.map(loadLine).join('') +
    `from a member's end to the next token: ${deathToTokenS.toFixed(1)} s\n`
  )
}

if (!existsSync(engines)) throw new Error('no engines are installed: `npm run test:all` builds them')
try {
  const cost = await measure()
  process.stdout.write(process.argv.includes('--json') ? `${JSON.stringify(cost)}\n` : toText(cost))
} finally {
  for (const member of members) member.end()
  rmSync(root, { recursive: true, force: true })
}
process.exit(0)
