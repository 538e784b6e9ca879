/**
 * An agent's own models and those of engines that were already there, as one node. What is asked for goes to the side
 * that offers it; the hub sees no difference.
 */
import type { Clock } from '../core/clock.ts'
import type { Home } from '../core/home.ts'
import type { Log } from '../core/log.ts'
import type { AttachedEngine } from '../engines/attached-engine.ts'
import type { LoadProgress, RunningModel } from '../protocol/model.ts'
import type { EngineLease, LoadOptions, NodeState } from '../protocol/node.ts'
import { type Agent, type AgentOptions, createAgent } from './agent.ts'
import { AttachedHost } from './attached-host.ts'
import { attachedModel, attachedRunning, type Offered, offeredModels } from './attached-view.ts'
import { LocalPool } from './pool/local-pool.ts'

export interface Attachment {
  engine: AttachedEngine
  /** Its owner named it: it stays listed, with the reason, while it cannot be reached. */
  explicit: boolean
  /** Models of it that the owner named. */
  named: readonly string[]
}

export interface AttachSource {
  /** The engines to attach, now; asked again every minute, for one may be started or ended at any time. */
  find(): Promise<readonly Attachment[]>
}

export interface AttachedAgentOptions extends AgentOptions {
  /** Seconds in which nothing of a pool's answer moves before its head calls it hung; the engine's usual when left out. */
  poolHangS?: number | null
}

interface AttachedDeps {
  source: AttachSource
  clock: Clock
  log: Log
  home: Home
  memoryBudgetBytes(): number
  poolHangS?: number | null
}

const findAgainMs = 60_000
const tellMs = 100

/**
 * Like `createAgent`, with the engines that were already there. What those hold in memory is not there for models of
 * the agent's own. Resolves when every engine has been asked for its models once.
 */
export async function createAttachedAgent(
  options: AttachedAgentOptions,
  source: AttachSource,
): Promise<Agent> {
  const { clock, home, log, memoryBudgetBytes, poolHangS } = options
  let heldBytes = (): number => 0
  const local = await createAgent({
    ...options,
    memoryBudgetBytes: () => Math.max(0, memoryBudgetBytes() - heldBytes()),
  })
  const agent = new AttachingAgent(local, { source, clock, log, home, memoryBudgetBytes, poolHangS })
  heldBytes = () => agent.heldBytes() + agent.pool.heldBytes()
  try {
    await agent.findEngines()
  } catch (thrown) {
    await agent.close()
    throw thrown
  }
  agent.watch()
  return agent
}

class AttachingAgent implements Agent {
  readonly id: string
  readonly name: string
  readonly pool: LocalPool
  private readonly local: Agent
  private readonly deps: AttachedDeps
  private readonly hosts = new Map<string, AttachedHost>()
  private readonly listeners = new Set<() => void>()
  private readonly timers = new Map<string, () => void>()
  private closed: Promise<void> | null = null

  constructor(local: Agent, deps: AttachedDeps) {
    this.id = local.id
    this.name = local.name
    this.local = local
    this.deps = deps
    this.pool = new LocalPool({
      home: deps.home,
      log: deps.log,
      findModel: (id) => this.modelHere(id),
      memory: () => this.state().memory,
      attached: () => [...this.hosts.values()].map(({ engine }) => engine),
      attachedModel: (id) => this.attachedModel(id),
      hangMs: deps.poolHangS == null ? undefined : deps.poolHangS * 1000,
      clock: deps.clock,
      changed: () => this.tell(),
    })
  }

  state(): NodeState {
    const state = this.local.state()
    const offered = this.offered(state)
    const running = offered.flatMap((each) => attachedRunning(each, this.deps.clock.now()))
    const engines = [...this.hosts.values()]
      .filter((host) => host.trouble === null)
      .map(({ engine }) => engine.id)
    return {
      ...state,
      engines: [...new Set([...state.engines, ...engines])],
      models: [...state.models, ...offered.map(attachedModel)],
      running: [...state.running, ...running, ...this.pool.running()],
      memory: {
        budgetBytes: this.deps.memoryBudgetBytes(),
        usedBytes: state.memory.usedBytes + sumOf(running) + this.pool.heldBytes(),
      },
    }
  }

  ps(): RunningModel[] {
    return this.state().running
  }

  /** Bytes that attached engines say they hold. */
  heldBytes(): number {
    let sum = 0
    for (const host of this.hosts.values()) {
      for (const { model } of host.books.values()) sum += model.memoryBytes ?? 0
    }
    return sum
  }

  subscribe(listener: () => void): () => void {
    const stop = this.local.subscribe(listener)
    this.listeners.add(listener)
    return () => {
      stop()
      this.listeners.delete(listener)
    }
  }

  async acquire(
    model: string,
    options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<EngineLease> {
    const offered = this.find(model)
    if (offered === null) return this.local.acquire(model, options)
    const { id, host, book } = offered
    const { name } = book.model
    const held = await host.hold(name, options.signal, options.onProgress)
    this.tell()
    return {
      model: id,
      engine: host.engine.id,
      origin: held.door.origin,
      headers: held.door.headersFor(name, id),
      parameters: host.engine.parameters,
      parallel: held.parallel,
      died: held.died,
      release: (stats) => {
        held.release(stats)
        this.tell()
      },
    }
  }

  async load(model: string, wish: LoadOptions): Promise<void> {
    const offered = this.find(model)
    if (offered === null) return this.local.load(model, wish)
    await offered.host.load(offered.book.model.name, wish)
  }

  async unload(model: string): Promise<void> {
    const offered = this.find(model)
    if (offered === null) return this.local.unload(model)
    await offered.host.unload(offered.book.model.name)
  }

  async refresh(): Promise<void> {
    await Promise.all([this.local.refresh(), ...[...this.hosts.values()].map((host) => host.look())])
  }

  /** Attaches what is new; lets go of what was only found and is no longer there. */
  async findEngines(): Promise<void> {
    const { source, clock, log } = this.deps
    const attachments = await source.find()
    const news: AttachedHost[] = []
    for (const { engine, explicit, named } of attachments) {
      const key = keyOf(engine)
      if (this.hosts.has(key) || this.closed) continue
      const host = new AttachedHost({
        engine,
        explicit,
        now: () => clock.now(),
        log,
        changed: () => this.tell(),
        named,
      })
      this.hosts.set(key, host)
      news.push(host)
    }
    const here = new Set(attachments.map(({ engine }) => keyOf(engine)))
    for (const [key, host] of this.hosts) {
      if (host.explicit || here.has(key) || host.trouble === null) continue
      this.hosts.delete(key)
      this.timers.get(key)?.()
      await host.close()
      this.tell()
    }
    await Promise.all(news.map((host) => host.look()))
    for (const host of news) {
      log.info({ engine: host.engine.id, url: host.engine.url }, 'attached an engine that was already there')
      if (host.explicit) void host.proveNamed()
      this.watchHost(host)
    }
  }

  watch(): void {
    this.repeat('find', findAgainMs, () => this.findEngines())
  }

  close(): Promise<void> {
    this.closed ??= (async () => {
      for (const cancel of this.timers.values()) cancel()
      this.listeners.clear()
      await Promise.all([
        this.local.close(),
        this.pool.close(),
        ...[...this.hosts.values()].map((host) => host.close()),
      ])
    })()
    return this.closed
  }

  private watchHost(host: AttachedHost): void {
    const { engine } = host
    this.repeat(keyOf(engine), engine.lookEveryMs, async () => {
      const away = host.trouble !== null
      await host.look()
      if (away && host.trouble === null && host.explicit) void host.proveNamed()
    })
  }

  private offered(state: NodeState): Offered[] {
    const own = new Set(state.models.map((model) => model.id))
    const hosts = [...this.hosts.values()].filter((host) => host.explicit || host.trouble === null)
    return offeredModels(hosts, own)
  }

  /** As the hub names it: exactly, else but for the case of letters; the agent's own come first. */
  private find(model: string): Offered | null {
    const state = this.local.state()
    const lower = model.toLowerCase()
    if (state.models.some(({ id }) => id === model)) return null
    const offered = this.offered(state)
    return (
      offered.find(({ id }) => id === model) ?? offered.find(({ id }) => id.toLowerCase() === lower) ?? null
    )
  }

  /** A model file of this machine's own, as a pool's head or its weights need it. */
  private modelHere(id: string): { path: string; sizeBytes: number } | null {
    const { models } = this.local.state()
    const lower = id.toLowerCase()
    const found =
      models.find((model) => model.id === id) ?? models.find((model) => model.id.toLowerCase() === lower)
    return found && found.problem === null ? { path: found.path, sizeBytes: found.sizeBytes } : null
  }

  private attachedModel(id: string): { engine: AttachedEngine; name: string } | null {
    const found = this.find(id)
    return found && { engine: found.host.engine, name: found.book.model.name }
  }

  private tell(): void {
    if (this.timers.has('tell') || this.closed) return
    const cancel = this.deps.clock.after(tellMs, () => {
      this.timers.delete('tell')
      for (const listener of this.listeners) listener()
    })
    this.timers.set('tell', cancel)
  }

  private repeat(name: string, ms: number, work: () => Promise<void>): void {
    if (this.closed) return
    const cancel = this.deps.clock.after(ms, () => {
      this.timers.delete(name)
      void work()
        .catch((thrown) => this.deps.log.warn({ name }, `attached engines: ${String(thrown)}`))
        .then(() => {
          const gone = name !== 'find' && !this.hosts.has(name)
          if (!gone) this.repeat(name, ms, work)
        })
    })
    this.timers.set(name, cancel)
  }
}

function keyOf({ id, url }: AttachedEngine): string {
  return `${id} ${url}`
}

function sumOf(running: readonly RunningModel[]): number {
  return running.reduce((sum, model) => sum + (model.memoryBytes ?? 0), 0)
}
