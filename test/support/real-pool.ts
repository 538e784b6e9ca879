/**
 * A hub and two machines as real processes on this one, with a model on the first that neither can hold alone: together
 * they are the pool `big` on llama.cpp RPC. For tests of what breaks, and of what is left after it.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import OpenAI from 'openai'
import { neverEnding, writeRandomGguf } from '../../src/bench/random-gguf.ts'
import { llamaServerDriver } from '../../src/engines/llama-server/index.ts'
import type { PoolView } from '../../src/protocol/pools.ts'
import { descendants, eventually, isAlive, type Running, runCli } from './cli.ts'
import { testHome } from './engine-home.ts'
import { ready, TestFleet, type TestHub } from './fleet.ts'

/** 127 MB of weights, 263 MB with cache and buffers; no machine may hold that much. */
const shape = {
  layers: 10,
  embedding: 768,
  heads: 12,
  kvHeads: 4,
  feedForward: 2048,
  vocab: 1000,
  context: 4096,
}
const budgetMb = '200'
/** The hub's machine holds the demonstration model too. */
const hubBudgetMb = '300'
export const model = 'wide'
/** What ends an answer of random weights early is chance: here its length alone does. */
const question = { model, prompt: 'The machines are', temperature: 0, ...neverEnding(shape) }

/** An answer that is being written. */
export interface Answering {
  /** Why it broke off; null when it came to its end. */
  broken: Promise<string | null>
}

export class RealPool {
  readonly fleet = new TestFleet()
  readonly agents: Record<string, Running> = {}
  hub!: TestHub
  private readonly more: Record<string, string>
  private readonly homes: Record<string, string> = {}
  private client!: OpenAI

  /** @param more environment of the hub and of both machines */
  constructor(more: Record<string, string> = {}) {
    this.more = { HOLON_MEMORY_BUDGET_MB: budgetMb, ...more }
  }

  private async up(): Promise<void> {
    const home = testHome()
    await llamaServerDriver(home).install({
      onProgress: () => undefined,
      signal: new AbortController().signal,
    })
    home.remove()
    this.hub = await this.fleet.hub(this.fleet.home(), { ...this.more, HOLON_MEMORY_BUDGET_MB: hubBudgetMb })
    this.client = new OpenAI({ baseURL: `${this.hub.url}/v1`, apiKey: 'none', maxRetries: 0 })
    for (const name of ['oak', 'elm']) this.homes[name] = this.fleet.home()
    this.giveModel(this.homes.oak ?? '')
    for (const name of ['oak', 'elm']) await this.join(name, ['--token', await this.hub.token()])
  }

  /** Everything up, and the pool serving. @returns its answer to `ask`, which every group after it must give again */
  async begin(): Promise<string> {
    await this.up()
    await this.create()
    const { text } = await this.ask()
    if (text === '')
      throw new Error('the pool answers with nothing: no answer after a failure could be told from it')
    return text
  }

  /** Starts the agent of a machine, `oak` or `elm`; without a token it must have joined before. */
  async join(name: string, how: string[] = []): Promise<void> {
    const env = { ...this.more, HOLON_HOME: this.homes[name] ?? '' }
    const running = this.fleet.start(['join', this.hub.url, ...how, '--name', name], env)
    await running.until(/Connected to/)
    this.agents[name] = running
    await ready(this.hub, name)
  }

  giveModel(home: string): void {
    const models = join(home, 'models')
    mkdirSync(models, { recursive: true })
    writeRandomGguf(join(models, `${model}.gguf`), { ...shape, type: 'F16', seed: 11, name: model })
  }

  /** The hub dies as in a power cut. */
  async killHub(): Promise<void> {
    this.hub.running.child.kill('SIGKILL')
    await this.hub.running.finished
  }

  /** Another hub in its folder and at its address. */
  async restartHub(): Promise<void> {
    const { HOLON_HOME = '', ...env } = this.hub.env
    this.hub = await this.fleet.hub(HOLON_HOME, { ...env, HOLON_PORT: new URL(this.hub.url).port })
  }

  /** The pool `big`, when it serves. */
  async create(nodes = 'oak,elm'): Promise<PoolView> {
    const made = await this.cli<PoolView>(
      ...['pool', 'create', 'big', '--model', model, '--nodes', nodes, '--engine', 'llama-rpc'],
      ...['--context', '2048', '--wait'],
    )
    if (made.code !== 0) throw new Error(`the pool does not serve: ${JSON.stringify(made.told)}`)
    return made.told
  }

  async cli<T>(...args: string[]): Promise<{ code: number | null; told: T }> {
    const { code, stdout, stderr } = await runCli([...args, '--json'], this.hub.env)
    if (stdout.trim() === '') throw new Error(stderr)
    return { code, told: JSON.parse(stdout) as T }
  }

  async pool(): Promise<PoolView> {
    return (await this.cli<PoolView>('pool', 'show', 'big')).told
  }

  served(service: PoolView['service']): Promise<void> {
    return eventually(`service ${service}`, async () => (await this.pool()).service === service, 120_000)
  }

  /** What became of the pool, oldest first: when its group began to serve and when it left, and why. */
  async events(): Promise<{ type: string; why: string | null }[]> {
    const response = await fetch(`${this.hub.url}/fleet/v1/history`)
    const { events } = (await response.json()) as {
      events: { type: string; data: { why?: string | null } }[]
    }
    return events
      .filter(({ type }) => type === 'pool.ready' || type === 'pool.left')
      .map(({ type, data }) => ({ type, why: data.why ?? null }))
      .reverse()
  }

  /** Processes of llama.cpp below the agent of a machine, `hub` for the hub's own. */
  engines(name: string, which = /^(llama-server|ggml-rpc-server)$/): number[] {
    const agent = name === 'hub' ? this.hub.running : this.agents[name]
    return descendants(agent?.child.pid ?? 0).filter((pid) => which.test(nameOf(pid)))
  }

  async ask(maxTokens = 16): Promise<{ text: string; node: string | null }> {
    const { data, response } = await this.client.completions
      .create({ ...question, max_tokens: maxTokens })
      .withResponse()
    return { text: data.choices[0]?.text ?? '', node: response.headers.get('x-holon-node') }
  }

  /** Asks for a long answer; resolves when its first word is there. */
  async answering(): Promise<Answering> {
    const stream = await this.client.completions.create({
      ...{ ...question, max_tokens: 2000, stream: true },
    })
    const chunks = stream[Symbol.asyncIterator]()
    await chunks.next()
    const rest = async (): Promise<string | null> => {
      try {
        while (!(await chunks.next()).done);
        return null
      } catch (thrown) {
        return String(thrown)
      }
    }
    return { broken: rest() }
  }

  end(): Promise<void> {
    return this.fleet.end()
  }
}

export const untilGone = (pids: readonly number[], ms = 60_000): Promise<void> =>
  eventually(`no process of ${pids.join(', ')}`, () => pids.every((pid) => !isAlive(pid)), ms)

/** The name of the program that a process runs; empty when it has ended. */
function nameOf(pid: number): string {
  try {
    const [program = ''] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0')
    return program.split('/').at(-1) ?? ''
  } catch {
    return ''
  }
}
