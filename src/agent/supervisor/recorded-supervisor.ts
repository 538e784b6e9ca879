/** A supervisor with its effects written down in words, on a clock that stands still: what the tests drive. */
import { FakeClock } from '../../core/clock.ts'
import {
  type ModelFacts,
  type SupervisorConfig,
  type SupervisorEffects,
  supervisorDefaults,
} from './effects.ts'
import type { SlotState } from './slot.ts'
import { Supervisor } from './supervisor.ts'

export class RecordedSupervisor extends Supervisor {
  readonly clock: FakeClock
  private readonly acts: string[]

  /** Models may take 100 bytes unless told. */
  constructor(config: Partial<SupervisorConfig> = {}, more: Partial<SupervisorEffects> = {}) {
    const clock = new FakeClock()
    const acts: string[] = []
    super(
      { ...supervisorDefaults, memoryBudgetBytes: () => 100, ...config },
      { ...recorder(acts), ...more },
      clock,
    )
    this.clock = clock
    this.acts = acts
  }

  /** What was done since the last look, without progress. */
  done(): string[] {
    return this.told().filter((act) => !act.startsWith('progress'))
  }

  told(): string[] {
    return this.acts.splice(0)
  }

  running(attempt: number): void {
    this.onStarted(attempt, {
      engine: 'fake',
      pid: 1000 + attempt,
      contextTokens: 8192,
      parallel: 4,
      threads: 2,
    })
  }

  crash(attempt: number): void {
    this.onExited(attempt, 'Segmentation fault.')
  }

  /** Brings a model up for one caller, and lets it go: it is idle then. */
  idle(facts: ModelFacts, ticket: number, attempt: number, lease: number): void {
    this.onAcquire(ticket, facts)
    this.running(attempt)
    this.onRelease(lease)
    this.told()
  }

  state(id: string): SlotState | undefined {
    return this.views().find((slot) => slot.facts.id === id)?.state
  }
}

/** A model of `size` bytes whose cache costs nothing, unless told. */
export const model = (id: string, size = 40, more: Partial<ModelFacts> = {}): ModelFacts => ({
  id,
  demo: false,
  contextMax: 32_768,
  need: () => size,
  ...more,
})

function recorder(acts: string[]): SupervisorEffects {
  return {
    start: (attempt, id, plan) =>
      acts.push(`start ${attempt} ${id} ctx=${plan.contextTokens} par=${plan.parallel}`),
    abandon: (attempt) => acts.push(`abandon ${attempt}`),
    stop: (attempt) => acts.push(`stop ${attempt}`),
    checkHealth: (attempt) => acts.push(`check ${attempt}`),
    granted: (ticket, lease, attempt) => acts.push(`grant ${ticket} lease=${lease} of ${attempt}`),
    done: (ticket) => acts.push(`done ${ticket}`),
    refused: (ticket, error) => acts.push(`refuse ${ticket} ${error.code}`),
    progress: (ticket, { phase }) => acts.push(`progress ${ticket} ${phase}`),
    died: (lease, sentence) => acts.push(`died ${lease} ${sentence}`),
    changed: () => undefined,
    log: () => undefined,
  }
}
