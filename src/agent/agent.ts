/**
 * One machine's models as a node of the fleet: what is on the disk, what is in memory, and the engines that answer.
 * The hub asks for a model and holds it while it answers; everything between "on disk" and "answers" happens here.
 * It knows nothing of requests, schedulers or stores.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { asHolonError, HolonError } from '../core/errors.ts'
import type { Home } from '../core/home.ts'
import type { Log } from '../core/log.ts'
import type { EngineDriver } from '../engines/engine.ts'
import { residentMemory } from '../profile/process-memory.ts'
import type { MachineProfile } from '../protocol/machine.ts'
import type { LoadProgress, RunningModel } from '../protocol/model.ts'
import type { EngineLease, LoadOptions, NodeHandle, NodeState } from '../protocol/node.ts'
import { EngineRunner } from './engine-runner.ts'
import { memoryNeed } from './memory-need.ts'
import type { ModelStore, StoredModel } from './models/model-store.ts'
import { nodeModels, runningModels } from './node-view.ts'
import {
  type ModelFacts,
  type Plan,
  type SupervisorConfig,
  type SupervisorEffects,
  supervisorDefaults,
} from './supervisor/effects.ts'
import { Supervisor } from './supervisor/supervisor.ts'
import { Tickets } from './tickets.ts'
import { openWarmBook, type WarmBook } from './warm-book.ts'

export interface AgentOptions {
  home: Home
  /** Best first. */
  drivers: readonly EngineDriver[]
  models: ModelStore
  /** What models may take together, bytes; asked at every decision. */
  memoryBudgetBytes(): number
  clock: Clock
  log: Log
  id?: string
  name?: string
  profile?: MachineProfile | null
  /** An engine to try before the others. */
  prefer?: string | null
  /** Engines small enough to be fetched without asking. */
  fetchOnFirstUse?: readonly string[]
  /** Seconds without an answer after which a model leaves memory; 0 never. */
  idleUnloadS?: number
  defaults?: { contextTokens?: number; parallel?: number; threads?: number | null }
  /** Models to load at the start and to keep in memory, by id. */
  preload?: readonly string[]
  /** Other limits of the supervisor, for tests. */
  limits?: Partial<SupervisorConfig>
}

export interface Agent extends NodeHandle {
  /** The models in memory. */
  ps(): RunningModel[]
  /** Looks at the disk again: after a pull or a removal. */
  refresh(): Promise<void>
  /** Ends every engine, always, within 15 seconds. */
  close(): Promise<void>
}

const lookAtModelsMs = 5_000
const lookForEnginesMs = 60_000
const measureMs = 5_000
const warmMs = 15_000
const tellMs = 100
const loadStallMs = 5 * 60_000
const graceMs = 5_000
const closeWithinMs = 15_000

/** Resolves when the models have been listed and the engines looked for; nothing is loaded yet. */
export async function createAgent(options: AgentOptions): Promise<Agent> {
  const agent = new LocalAgent(options)
  await Promise.all([agent.refresh(), agent.lookForEngines()])
  agent.watch()
  agent.warm()
  return agent
}

class LocalAgent implements Agent {
  readonly id: string
  readonly name: string
  private readonly options: AgentOptions
  private readonly runner: EngineRunner
  private readonly supervisor: Supervisor
  private readonly book: WarmBook
  /** Models to keep that were not on the disk yet. */
  private readonly toKeep: Set<string>
  private readonly tickets = new Tickets()
  /** Who is told when an engine dies under a lease. */
  private readonly leases = new Map<number, (sentence: string) => void>()
  private readonly listeners = new Set<() => void>()
  private readonly timers = new Map<string, () => void>()
  private stored = new Map<string, StoredModel>()
  private enginesHere: string[] = []
  private closed: Promise<void> | null = null

  constructor(options: AgentOptions) {
    this.options = options
    this.id = options.id ?? 'local'
    this.name = options.name ?? hostname()
    this.book = openWarmBook(join(options.home.root, 'warm.json'), options.log)
    const { histories, kept } = this.book
    this.toKeep = new Set([...(options.preload ?? []), ...kept])
    this.supervisor = new Supervisor(supervisorConfig(options), this.effects(), options.clock, histories)
    this.runner = new EngineRunner(
      {
        drivers: options.drivers,
        preferred: options.prefer ?? null,
        fetchable: new Set(options.fetchOnFirstUse ?? ['embedded']),
        threads: options.defaults?.threads ?? null,
        logsFolder: options.home.logs,
        clock: options.clock,
        log: options.log,
        stallMs: loadStallMs,
        graceMs,
      },
      {
        progress: (attempt, engine, progress) => this.supervisor.onProgress(attempt, engine, progress),
        started: (attempt, running) => {
          this.supervisor.onStarted(attempt, running)
          this.measure()
          void this.lookForEngines()
        },
        startFailed: (attempt, error) => this.supervisor.onStartFailed(attempt, error),
        exited: (attempt, reason) => this.supervisor.onExited(attempt, reason),
        health: (attempt, healthy) => this.supervisor.onHealth(attempt, healthy),
      },
    )
  }

  state(): NodeState {
    const running = this.ps()
    const infos = [...this.stored.values()].map(({ info }) => info)
    return {
      id: this.id,
      name: this.name,
      state: this.closed ? 'gone' : 'ready',
      profile: this.options.profile ?? null,
      engines: this.enginesHere,
      models: nodeModels(infos, this.supervisor.views(), this.book.histories),
      running,
      memory: {
        budgetBytes: this.options.memoryBudgetBytes(),
        usedBytes: running.reduce((sum, model) => sum + (model.memoryBytes ?? 0), 0),
      },
    }
  }

  ps(): RunningModel[] {
    return runningModels(this.supervisor.views(), this.options.clock.now())
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  async acquire(
    model: string,
    { signal, onProgress }: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<EngineLease> {
    const facts = await this.factsOf(model)
    signal.throwIfAborted()
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.tickets.take(ticket)
        this.supervisor.onGiveUp(ticket)
        reject(signal.reason)
      }
      const settle = (): void => signal.removeEventListener('abort', giveUp)
      const ticket = this.tickets.open({
        progress: onProgress,
        granted: (lease, attempt) => {
          settle()
          resolve(this.leaseOf(facts.id, lease, attempt))
        },
        refused: (error) => {
          settle()
          reject(error)
        },
      })
      signal.addEventListener('abort', giveUp, { once: true })
      this.supervisor.onAcquire(ticket, facts)
    })
  }

  async load(
    model: string,
    { contextTokens, parallel, engine, keep, ifRoom }: LoadOptions = {},
  ): Promise<void> {
    const facts = await this.factsOf(model)
    // What runs is not given up for an engine that cannot.
    if (engine !== undefined) await this.runner.candidates(engine)
    await new Promise<void>((done, refused) => {
      const wish = {
        contextTokens: contextTokens ?? null,
        parallel: parallel ?? null,
        engine: engine ?? null,
      }
      this.supervisor.onLoad(this.tickets.open({ done, refused }), facts, wish, { keep, ifRoom })
    })
    if (keep) this.saveBook()
  }

  async unload(model: string): Promise<void> {
    const id = this.stored.has(model) ? model : (await this.options.models.find(model)).info.id
    await new Promise<void>((done, refused) => {
      this.supervisor.onUnload(this.tickets.open({ done, refused }), id)
    })
    this.toKeep.delete(id)
    this.saveBook()
  }

  async refresh(): Promise<void> {
    const models = await this.options.models.list()
    const before = JSON.stringify([...this.stored.values()])
    this.stored = new Map(models.map((model) => [model.info.id, model]))
    if (JSON.stringify(models) !== before) this.tell()
  }

  async lookForEngines(): Promise<void> {
    const found = await Promise.all(this.options.drivers.map((driver) => driver.detect().catch(() => null)))
    const here = found.flatMap((engine) => (engine?.available ? [engine.id] : []))
    if (here.join() !== this.enginesHere.join()) this.tell()
    this.enginesHere = here
  }

  /** A pull or an installation may come from another process; so the disk is looked at again and again. */
  watch(): void {
    this.repeat('models', lookAtModelsMs, () => this.refresh())
    this.repeat('engines', lookForEnginesMs, () => this.lookForEngines())
    this.repeat('warm', warmMs, async () => this.warm())
  }

  /** Loads ahead what is kept or due; what is kept since the last run too. */
  warm(): void {
    const usable = [...this.stored.values()].flatMap((model) => this.knownFacts(model) ?? [])
    const kept = usable.filter(({ id }) => this.toKeep.delete(id))
    this.supervisor.onKeep(kept)
    this.supervisor.onQuiet(usable)
    this.saveBook()
  }

  close(): Promise<void> {
    this.closed ??= (async () => {
      this.saveBook()
      this.supervisor.onClose()
      await this.runner.close(closeWithinMs)
      for (const cancel of this.timers.values()) cancel()
      this.listeners.clear()
    })()
    return this.closed
  }

  /** The model as the supervisor needs it. What is in memory is taken as known: no disk on the hot path. */
  private async factsOf(model: string): Promise<ModelFacts> {
    const known = this.stored.get(model)
    const inMemory = this.supervisor.views().some((view) => view.facts.id === model && view.state === 'ready')
    const { info, shape } = known && inMemory ? known : await this.options.models.find(model)
    this.stored.set(info.id, { info, shape })
    const facts = this.knownFacts({ info, shape })
    if (facts) return facts
    throw new HolonError('model_file_invalid', `${info.id} cannot be used: ${info.problem ?? 'no header'}`)
  }

  private knownFacts({ info, shape }: StoredModel): ModelFacts | null {
    if (info.problem !== null || shape === null) return null
    return {
      id: info.id,
      demo: info.demo,
      contextMax: info.contextMax,
      need: (contextTokens, parallel) => memoryNeed(shape, contextTokens, parallel),
    }
  }

  private saveBook(): void {
    const kept = this.supervisor.views().filter((view) => view.kept)
    this.book.save([...kept.map((view) => view.facts.id), ...this.toKeep])
  }

  private leaseOf(model: string, lease: number, attempt: number): EngineLease {
    const started = this.runner.processOf(attempt)
    if (!started) throw new HolonError('internal', `A lease of ${model} was granted without an engine.`)
    const { driver, process } = started
    const died = new Promise<string>((resolve) => this.leases.set(lease, resolve))
    return {
      model,
      engine: driver.id,
      origin: process.origin,
      headers: process.headers,
      parameters: driver.parameters,
      parallel: process.parallel,
      died,
      release: (stats) => {
        this.leases.delete(lease)
        this.supervisor.onRelease(lease, stats)
      },
    }
  }

  private effects(): SupervisorEffects {
    const { log } = this.options
    return {
      start: (attempt, model, plan) => this.start(attempt, model, plan),
      abandon: (attempt) => this.runner.abandon(attempt),
      stop: (attempt) => this.runner.stop(attempt),
      checkHealth: (attempt) => this.runner.checkHealth(attempt),
      granted: (ticket, lease, attempt) => {
        const waiting = this.tickets.take(ticket)
        if (waiting?.granted) waiting.granted(lease, attempt)
        else this.supervisor.onRelease(lease)
      },
      done: (ticket) => this.tickets.take(ticket)?.done?.(),
      refused: (ticket, error) => this.tickets.take(ticket)?.refused(error),
      progress: (ticket, progress) => this.tickets.progress(ticket, progress),
      died: (lease, sentence) => {
        this.leases.get(lease)?.(sentence)
        this.leases.delete(lease)
      },
      changed: () => this.tell(),
      log: (level, fields, message) => log[level](fields, message),
    }
  }

  private start(attempt: number, model: string, plan: Plan): void {
    const info = this.stored.get(model)?.info
    if (info) {
      this.runner.start(attempt, info, plan)
      return
    }
    // Deleted between a crash and the restart. The supervisor is told when it has finished this step.
    const gone = new HolonError('model_file_missing', `The file of ${model} is no longer there.`)
    queueMicrotask(() => this.supervisor.onStartFailed(attempt, gone))
  }

  /** Listeners hear of many small changes once. */
  private tell(): void {
    if (this.timers.has('tell') || this.closed) return
    const cancel = this.options.clock.after(tellMs, () => {
      this.timers.delete('tell')
      for (const listener of this.listeners) listener()
    })
    this.timers.set('tell', cancel)
  }

  /** Samples the memory of the engines as long as there are any. */
  private measure(): void {
    this.timers.get('measure')?.()
    const sample = async (): Promise<void> => {
      const pids = this.runner.pids()
      const figures = await residentMemory([...pids.values()])
      for (const [attempt, pid] of pids) this.supervisor.onMemory(attempt, figures.get(pid) ?? null)
    }
    void sample()
    this.repeat('measure', measureMs, sample)
  }

  private repeat(name: string, ms: number, work: () => Promise<void>): void {
    if (this.closed) return
    const cancel = this.options.clock.after(ms, () => {
      void work()
        .catch((thrown) => this.options.log.warn({}, `${name}: ${asHolonError(thrown).message}`))
        .then(() => this.repeat(name, ms, work))
    })
    this.timers.set(name, cancel)
  }
}

function supervisorConfig(options: AgentOptions): SupervisorConfig {
  const { defaults, idleUnloadS, limits, memoryBudgetBytes } = options
  return {
    ...supervisorDefaults,
    ...(idleUnloadS === undefined ? {} : { idleUnloadMs: idleUnloadS * 1000 }),
    ...limits,
    memoryBudgetBytes,
    defaults: {
      contextTokens: defaults?.contextTokens ?? supervisorDefaults.defaults.contextTokens,
      parallel: defaults?.parallel ?? supervisorDefaults.defaults.parallel,
    },
  }
}
