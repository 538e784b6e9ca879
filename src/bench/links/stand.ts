/** What all parts of the links bench stand on: three machines, one model, a pool of them, and questions of known length. */
import { readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { MiB } from '../../core/units.ts'
import type { LinkView, PoolPreview, PoolView, PreviewPlacement } from '../../protocol/pools.ts'
import type { Answer } from '../lab/desk.ts'
import { descendants, eventually } from '../lab/holon-process.ts'
import type { Lab } from '../lab/lab.ts'
import { type RandomGguf, writeRandomGguf } from '../random-gguf.ts'

export const names = ['oak', 'elm', 'ash'] as const
export const modelName = 'bench'
/** 0.44 billion weights: larger than the caches, and its layers divide by two and by three. */
const shape: RandomGguf = {
  ...{ layers: 12, embedding: 1536, heads: 12, kvHeads: 4, feedForward: 6144, vocab: 16_000, context: 4096 },
  ...{ type: 'Q8_0', seed: 5, name: modelName },
}
/** 1.5 billion weights: its load is bytes, and not what goes before and after. */
export const largeName = 'bench-large'
const largeShape: RandomGguf = {
  ...{ layers: 24, embedding: 2048, heads: 16, kvHeads: 4, feedForward: 8192, vocab: 32_000, context: 4096 },
  ...{ type: 'Q8_0', seed: 6, name: largeName },
}
export const contextTokens = 512
export const decodeTokens = 32
const promptTokens = contextTokens - decodeTokens

/** On the first machine, which leads the pools. */
const write = (lab: Lab, model: RandomGguf): number =>
  writeRandomGguf(join(lab.nodes.oak!.home, 'models', `${model.name}.gguf`), model)

export const writeModel = (lab: Lab): number => write(lab, shape)
export const writeLargeModel = (lab: Lab): number => write(lab, largeShape)

/** Measures the ways between them now: the hub does not measure one twice within seconds, so it is asked until it has. */
export async function measureLinks(lab: Lab, nodes: readonly string[]): Promise<void> {
  const since = Date.now()
  await eventually(
    'the links to be measured',
    async () => {
      const { links } = await lab.post<{ links: LinkView[] }>('/fleet/v1/links/measure', { nodes })
      const meant = links.filter(({ from, to }) => nodes.includes(from) && nodes.includes(to))
      return (
        meant.length > 0 && meant.every(({ measuredAtMs, probe }) => probe && (measuredAtMs ?? 0) >= since)
      )
    },
    90_000,
  )
}

/** What the owner would see with `holon pool preview`. */
export async function preview(
  lab: Lab,
  nodes: readonly string[],
  model = modelName,
): Promise<PreviewPlacement> {
  const asked = { model, nodes, contextTokens, engine: 'llama-rpc' }
  const { placements } = await lab.post<PoolPreview>('/fleet/v1/pools/preview', asked)
  const found = placements.find(
    ({ members, engine }) => members.length === nodes.length && (engine === 'solo') === (nodes.length === 1),
  )
  if (!found?.fits) throw new Error(`${nodes.join(', ')} cannot hold the model: ${found?.whyNot}`)
  return found
}

/** A budget with which a machine holds its equal share of the layers and not one more. In the unit of the setting, MiB. */
export function budgetFor(whole: PreviewPlacement, share: number): number {
  const { memory, layers } = whole.members[0]!
  const { weightsBytes, kvBytes, computeBytes } = memory!
  const perLayer = (weightsBytes + kvBytes) / layers
  return Math.ceil((computeBytes + perLayer * (Math.ceil(layers * share) + 0.5)) / MiB)
}

/** These machines, each with memory for so much of the model. */
export async function joinAll(
  lab: Lab,
  share: number,
  nodes: readonly string[] = names,
  model = modelName,
): Promise<void> {
  await lab.join('oak')
  const whole = await preview(lab, ['oak'], model)
  await lab.leave('oak')
  const budget = { HOLON_MEMORY_BUDGET_MB: String(budgetFor(whole, share)) }
  for (const name of nodes) await lab.join(name, budget)
}

export async function poolView(lab: Lab): Promise<PoolView | undefined> {
  return (await lab.get<{ pools: PoolView[] }>('/fleet/v1/pools')).pools[0]
}

/** The engine of the pool that runs on a machine, and its command line. @throws when there is none */
export function engineOn(lab: Lab, name: string): { pid: number; program: string; args: string[] } {
  for (const pid of descendants(lab.nodes[name]!.running?.child.pid ?? 0)) {
    const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').slice(0, -1)
    if (/^(ggml-rpc-server|llama-server)$/.test(basename(program))) return { pid, program, args }
  }
  throw new Error(`no engine runs on ${name}`)
}

/** Forms the pool and waits until the group answers. @throws why it does not, after two minutes */
export async function formPool(
  lab: Lab,
  nodes: readonly string[],
  isolatedLinks: readonly string[] = [],
  model = modelName,
): Promise<void> {
  const wish = { name: 'bench-pool', model, nodes, engine: 'llama-rpc', contextTokens }
  await lab.post('/fleet/v1/pools', { ...wish, isolatedLinks })
  await eventually('the pool to answer', async () => (await poolView(lab))?.service === 'group', 120_000)
}

export async function endPool(lab: Lab): Promise<void> {
  await lab.post('/fleet/v1/pools/remove', { name: 'bench-pool' })
  await eventually('the pool to be gone', async () => (await poolView(lab)) === undefined, 30_000)
}

/** Words as token ids, so that their number is certain; another text each time, so that nothing is cached. */
function promptOf(tokens: number): number[] {
  turn += 1
  return Array.from({ length: tokens }, (_, at) => 300 + ((at * 7 + turn * 131) % 10_000))
}
let turn = 0

const exactly = { model: modelName, temperature: 0, ignore_eos: true, cache_prompt: false }

/** A whole prompt and an answer, which fill the context that the prediction counts with. */
export const question = (): Record<string, unknown> => ({
  ...exactly,
  ...{ prompt: promptOf(promptTokens), max_tokens: decodeTokens },
})
export const shortQuestion = (tokens: number): Record<string, unknown> => ({
  ...exactly,
  ...{ prompt: promptOf(4), max_tokens: tokens },
})
export const longPrompt = (): Record<string, unknown> => ({
  ...exactly,
  ...{ prompt: promptOf(promptTokens), max_tokens: 1 },
})

/** @throws what the hub said when it did not answer; an answer without the engine's own timings */
export async function answered(lab: Lab, body: Record<string, unknown>): Promise<Speeds> {
  const answer = await lab.ask(body)
  if (answer.error !== null) {
    const pool = await poolView(lab)
    throw new Error(`the model did not answer: ${answer.error} The pool is ${pool?.phase}: ${pool?.reason}`)
  }
  return speedsOf(answer)
}

export interface Speeds {
  decodeTokS: number
  prefillTokS: number
  tokens: number
}

export function speedsOf({ decodeTokS, prefillTokS, completionTokens }: Answer): Speeds {
  if (decodeTokS === null || prefillTokS === null) throw new Error('the engine did not tell its timings')
  return { decodeTokS, prefillTokS, tokens: completionTokens }
}
