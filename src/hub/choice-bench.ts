import { pathToFileURL } from 'node:url'
import { systemClock } from '../core/clock.ts'
import { silentLog } from '../core/log.ts'
import { machineProfile } from '../protocol/machine.ts'
import type { NodeModel } from '../protocol/model.ts'
import type { NodeHandle, NodeState } from '../protocol/node.ts'
import { checkRequest } from '../protocol/openai/index.ts'
import { Catalogue } from './catalogue/catalogue.ts'
import type { AnswerRecord } from './gateway/answer-record.ts'
import { readDemand } from './scheduler/demand.ts'
import { type Claim, Scheduler } from './scheduler/scheduler.ts'

/**
 * What a choice costs: fleets of 1,000 and 10,000 nodes that advertise 200 models each, for a model that every node has
 * and for one that five have; and what it costs to take in that a node changed. Run after a build:
 * `node dist/hub/choice-bench.js`. Each choice is a whole one: reading the demand off the parsed request, looking up the
 * prompt's beginning, the contest, the record for `holon explain`, and the books when it is over. It stands here and not
 * with the other benches because it drives the hub's own parts, which those may not import.
 */

interface Costs {
  nodes: number
  models: number
  holders: number
  p50Us: number
  p99Us: number
  cpuUs: number
}

const chips = ['Apple M3 Ultra', 'Apple M4 Max', 'Apple M4', 'NVIDIA GeForce RTX 4090']
const modelsPerNode = 200

function aModel(id: string, sizeBytes: number): NodeModel {
  return {
    id,
    path: `/models/${id}.gguf`,
    source: `org/${id}-GGUF/${id}-Q4_K_M.gguf`,
    format: 'gguf',
    architecture: 'llama',
    name: id,
    quant: 'Q4_K_M',
    paramsTotal: sizeBytes * 1.7,
    sizeBytes,
    contextMax: 32_768,
    embedding: false,
    demo: false,
    problem: null,
    state: 'ready',
    progress: null,
    failure: null,
  }
}

/** A node that tells its picture and is never asked for an answer. */
class BenchNode implements NodeHandle {
  readonly id: string
  readonly name: string
  private picture: NodeState

  constructor(index: number, models: readonly NodeModel[], running: readonly string[]) {
    this.id = `node-${index}`
    this.name = this.id
    this.picture = {
      id: this.id,
      name: this.name,
      state: 'ready',
      profile: profileOf(chips[index % chips.length]!),
      engines: ['llama-server'],
      models: [...models],
      running: running.map((id) => ({
        id, engine: 'llama-server', pid: 1, state: 'ready', progress: null, contextTokens: 32_768, parallel: 4,
        threads: 8, memoryBytes: 4e9, active: 0, decodeTokS: null, prefillTokS: null, loadedAt: 0, idleS: 5,
      })), // biome-ignore format: a list of fields
      memory: { budgetBytes: 64e9, usedBytes: 8e9 },
    }
  }

  state(): NodeState {
    return this.picture
  }

  /** As a node behind a tunnel tells a change: everything anew. */
  change(): void {
    const { models, running } = this.picture
    this.picture = {
      ...this.picture,
      models: models.map((model) => ({ ...model })),
      running: running.map((one) => ({ ...one, active: one.active ^ 1 })),
    }
  }

  subscribe(): () => void {
    return () => undefined
  }

  acquire(): Promise<never> {
    return Promise.reject(new Error('not here'))
  }

  async load(): Promise<void> {}

  async unload(): Promise<void> {}
}

const profiles = new Map<string, NodeState['profile']>()
function profileOf(chip: string): NodeState['profile'] {
  const known = profiles.get(chip)
  if (known !== undefined) return known
  const profile = machineProfile.parse({
    hostname: 'bench',
    os: { platform: 'darwin', name: 'macOS', version: '26', arch: 'arm64' },
    chip,
    chipId: null,
    cpuCores: { physical: 16, logical: 16, performance: 12 },
    cpuFlags: [],
    gpus: [],
    memory: {
      totalBytes: 96e9, availableBytes: 80e9, usedByOthersBytes: 8e9, usableBytes: 72e9, usableHow: 'stated',
    }, // biome-ignore format: a list of fields
    disk: { path: '/', totalBytes: 1e12, freeBytes: 5e11 },
    bandwidth: [],
    engines: [],
  })
  profiles.set(chip, profile)
  return profile
}

const book = {
  curated: async () => 'no' as const,
  read: async () => ({ mode: 'open' as const, offers: [], rules: [] }),
  write: async () => undefined,
}

const text = 'Tell me about the weather of tomorrow, in the words of a sailor. '.repeat(12)
const body = { model: 'x', messages: [{ role: 'user', content: text }], max_tokens: 200 }

function record(model: string): AnswerRecord {
  return {
    requestId: 'x', time: 0, endpoint: 'chat', model, node: 'x', keyId: null, engine: 'llama-server', status: 200,
    error: null, stream: true, promptTokens: 200, cachedTokens: 0, completionTokens: 100, exactTokens: true,
    queueMs: 0, ttftMs: 200, durationMs: 2_000, prefillTokS: 900, decodeTokS: 55, retries: 0,
  } as AnswerRecord // biome-ignore format: a list of fields
}

function fleetOf(nodes: number): { catalogue: Catalogue; scheduler: Scheduler; handles: BenchNode[] } {
  const shared = Array.from({ length: modelsPerNode - 1 }, (_, index) =>
    aModel(`family${index}-${1 + (index % 30)}b-instruct`, 1e9 + index * 1e8),
  )
  const rare = aModel('rare-7b-instruct', 4e9)
  const other = aModel('other-7b-instruct', 4e9)
  const handles = Array.from({ length: nodes }, (_, index) => {
    const models = [...shared, index < 5 ? rare : other]
    return new BenchNode(index, models, [shared[0]!.id, 'rare-7b-instruct'])
  })
  const catalogue = new Catalogue({ nodes: handles, book, clock: systemClock, log: silentLog })
  return { catalogue, scheduler: new Scheduler({ catalogue, clock: systemClock }), handles }
}

async function measure(
  { scheduler }: ReturnType<typeof fleetOf>,
  model: string,
  nodes: number,
  holders: number,
): Promise<Costs> {
  const request = checkRequest('chat', { ...body, model })
  const key = [1, 2] as const
  const inFlight: Claim[] = []
  let next = 0
  const done = record(model)
  const one = () => {
    const demand = readDemand(request, body, 1_000, undefined, key)
    const choice = scheduler.choose({ id: 'bench', model, lane: 'production', demand })
    const oldest = inFlight[next]
    if (oldest !== undefined) scheduler.over(oldest, done)
    inFlight[next] = scheduler.claim(choice)
    next = (next + 1) % (holders * 2)
  }
  for (let warm = 0; warm < 300; warm++) one()
  // The planner's estimates are made meanwhile.
  await new Promise((resolve) => setTimeout(resolve, 200))
  for (let warm = 0; warm < 2_000; warm++) one()
  const rounds = holders > 5_000 ? 2_000 : 10_000
  const times = new Float64Array(rounds)
  const cpuBefore = process.cpuUsage()
  for (let round = 0; round < rounds; round++) {
    const before = process.hrtime.bigint()
    one()
    times[round] = Number(process.hrtime.bigint() - before) / 1_000
  }
  const cpu = process.cpuUsage(cpuBefore)
  times.sort()
  const at = (share: number) => Math.round(times[Math.floor(rounds * share)]! * 10) / 10
  const cpuUs = Math.round(((cpu.user + cpu.system) / rounds) * 10) / 10
  return { nodes, models: modelsPerNode, holders, p50Us: at(0.5), p99Us: at(0.99), cpuUs }
}

function measureUpdates({ catalogue, handles }: ReturnType<typeof fleetOf>): {
  p50Us: number
  p99Us: number
} {
  const rounds = 2_000
  const times = new Float64Array(rounds)
  for (let round = 0; round < rounds; round++) {
    const node = handles[(round * 7) % handles.length]!
    node.change()
    const before = process.hrtime.bigint()
    catalogue.index.changed(node)
    catalogue.index.refresh()
    times[round] = Number(process.hrtime.bigint() - before) / 1_000
  }
  times.sort()
  const at = (share: number) => Math.round(times[Math.floor(rounds * share)]! * 10) / 10
  return { p50Us: at(0.5), p99Us: at(0.99) }
}

export async function benchChoice(): Promise<object> {
  const choices: Costs[] = []
  const updates: object[] = []
  for (const nodes of [1, 1_000, 10_000]) {
    const fleet = fleetOf(nodes)
    choices.push(await measure(fleet, 'family0-1b-instruct', nodes, nodes))
    if (nodes > 1) choices.push(await measure(fleet, 'rare-7b-instruct', nodes, 5))
    updates.push({ nodes, models: modelsPerNode, ...measureUpdates(fleet) })
  }
  return { choices, updates }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  process.stdout.write(`${JSON.stringify(await benchChoice(), null, 2)}\n`)
}
