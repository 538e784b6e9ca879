/**
 * A machine whose memory is kept by the very supervisor of an agent, on a clock that is moved by hand. Stands in for
 * engines alone: a load takes as long as it is told, an answer too, and so many are given at once.
 */
import { nodeModels, runningModels } from '../../src/agent/node-view.ts'
import { type SupervisorEffects, supervisorDefaults } from '../../src/agent/supervisor/effects.ts'
import { Histories } from '../../src/agent/supervisor/model-history.ts'
import { Supervisor } from '../../src/agent/supervisor/supervisor.ts'
import type { Clock } from '../../src/core/clock.ts'
import type { NodeModel } from '../../src/protocol/model.ts'
import type { EngineLease, NodeHandle, NodeState } from '../../src/protocol/node.ts'
import { aModel } from './fake-node.ts'

const parallel = 4
const endMs = 500

interface Asker {
  model: string
  answerMs: number
  held: () => void
  ended: () => void
}

export class MachineWithMemory implements NodeHandle {
  readonly id: string
  readonly name: string
  readonly loads: string[] = []
  /** Models that were asked to leave while somebody was being answered. */
  readonly cut: string[] = []
  readonly refused: string[] = []
  private readonly budgetBytes: number
  private readonly models: NodeModel[]
  private readonly clock: Clock
  private readonly supervisor: Supervisor
  private readonly histories = new Histories()
  private readonly listeners = new Set<() => void>()
  private readonly askers = new Map<number, Asker>()
  private readonly lines = new Map<string, { free: number; waiting: (() => void)[] }>()
  private tickets = 0

  constructor(
    name: string,
    sizes: Record<string, number>,
    budgetBytes: number,
    loadMs: number,
    clock: Clock,
  ) {
    this.id = name
    this.name = name
    this.budgetBytes = budgetBytes
    this.clock = clock
    this.models = Object.entries(sizes).map(([id, sizeBytes]) => aModel(id, { sizeBytes, state: 'disk' }))
    const config = { ...supervisorDefaults, memoryBudgetBytes: () => budgetBytes, healthEveryMs: 1e12 }
    this.supervisor = new Supervisor(config, this.effects(loadMs), clock, this.histories)
  }

  /** A request that waits for the model, for its turn, and for its answer. */
  ask(model: string, answerMs: number, held: () => void, ended: () => void): void {
    this.askers.set(++this.tickets, { model, answerMs, held, ended })
    const { id, demo, contextMax, sizeBytes } = this.models.find((each) => each.id === model)!
    this.supervisor.onAcquire(this.tickets, { id, demo, contextMax, need: () => sizeBytes })
  }

  /** The models in memory. */
  inMemory(): string[] {
    return this.state()
      .running.filter(({ state }) => state === 'ready')
      .map(({ id }) => id)
  }

  /** What an agent does every 15 s. */
  quiet(): void {
    const facts = this.models.map(({ id, demo, contextMax, sizeBytes }) => ({
      id,
      demo,
      contextMax,
      need: () => sizeBytes,
    }))
    this.supervisor.onQuiet(facts)
  }

  state(): NodeState {
    const views = this.supervisor.views()
    const running = runningModels(views, this.clock.now())
    return {
      id: this.id,
      name: this.name,
      state: 'ready',
      profile: null,
      engines: ['fake'],
      models: nodeModels(this.models, views, this.histories),
      running,
      memory: {
        budgetBytes: this.budgetBytes,
        usedBytes: running.reduce((sum, { memoryBytes }) => sum + (memoryBytes ?? 0), 0),
      },
    }
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  acquire(): Promise<EngineLease> {
    throw new Error('ask() instead: promises do not go with a clock that is moved by hand')
  }

  async load(): Promise<void> {}
  async unload(): Promise<void> {}

  private effects(loadMs: number): SupervisorEffects {
    return {
      start: (attempt, id, { needBytes }) => {
        this.loads.push(id)
        this.clock.after(loadMs, () => {
          this.supervisor.onStarted(attempt, {
            engine: 'fake',
            pid: attempt,
            contextTokens: 4096,
            parallel,
            threads: 1,
          })
          this.supervisor.onMemory(attempt, needBytes)
        })
      },
      stop: (attempt) => {
        const slot = this.supervisor.views().find((view) => view.attempt === attempt)
        if (slot && slot.leases.size > 0) this.cut.push(slot.facts.id)
        this.clock.after(endMs, () => this.supervisor.onExited(attempt, 'ended'))
      },
      granted: (ticket, lease) => this.answer(this.taken(ticket), lease),
      refused: (ticket) => void this.refused.push(this.taken(ticket).model),
      changed: () => {
        for (const listener of this.listeners) listener()
      },
      abandon: () => undefined,
      checkHealth: () => undefined,
      done: () => undefined,
      progress: () => undefined,
      died: () => undefined,
      log: () => undefined,
    }
  }

  private taken(ticket: number): Asker {
    const asker = this.askers.get(ticket)!
    this.askers.delete(ticket)
    return asker
  }

  private answer({ model, answerMs, held, ended }: Asker, lease: number): void {
    const line = this.lines.get(model) ?? { free: parallel, waiting: [] }
    this.lines.set(model, line)
    held()
    const begin = (): void => {
      line.free--
      this.clock.after(answerMs, () => {
        line.free++
        line.waiting.shift()?.()
        this.supervisor.onRelease(lease)
        ended()
      })
    }
    if (line.free > 0) begin()
    else line.waiting.push(begin)
  }
}
