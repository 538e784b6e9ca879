/**
 * The parts of one group, counted: all are opened, then the workers started, then the head; and all are stopped,
 * whatever each of them was doing.
 *
 * | part     | goes on by        | after `stop`                                         |
 * |----------|-------------------|------------------------------------------------------|
 * | opening  | opened: open      | stopping: what opens after all is ended by the effect |
 * | open     | all open: starting | stopping                                            |
 * | starting | started: running  | stopping                                             |
 * | running  |                   | stopping                                             |
 * | stopping | stopped           |                                                      |
 */
import type { GroupPlan } from './effects.ts'

type PartState = 'opening' | 'open' | 'starting' | 'running' | 'stopping' | 'stopped'

export class Group {
  private readonly together: boolean
  private readonly parts: PartState[]

  constructor(plan: GroupPlan) {
    this.together = plan.together || plan.members.length === 1
    this.parts = plan.members.map(() => 'opening')
  }

  ranks(): number[] {
    return this.parts.map((_, rank) => rank)
  }

  get stopped(): boolean {
    return this.parts.every((part) => part === 'stopped')
  }

  get running(): boolean {
    return this.parts.every((part) => part === 'running')
  }

  /** @returns the ranks to start now */
  onOpened(rank: number): number[] {
    if (this.parts[rank] !== 'opening') return []
    this.parts[rank] = 'open'
    if (!this.parts.every((part) => part === 'open')) return []
    return this.begin(this.together ? this.ranks() : this.ranks().slice(1))
  }

  /** @returns the ranks to start now: the head, once its workers run */
  onStarted(rank: number): number[] {
    if (this.parts[rank] !== 'starting') return []
    this.parts[rank] = 'running'
    const workersRun = this.parts.every((part, other) => other === 0 || part === 'running')
    return workersRun && this.parts[0] === 'open' ? this.begin([0]) : []
  }

  /** @returns the ranks to stop now: all, a broken part too, since it may hold a port */
  stop(): number[] {
    for (const rank of this.ranks()) this.parts[rank] = 'stopping'
    return this.ranks()
  }

  onStopped(rank: number): void {
    if (this.parts[rank] === 'stopping') this.parts[rank] = 'stopped'
  }

  private begin(ranks: number[]): number[] {
    for (const rank of ranks) this.parts[rank] = 'starting'
    return ranks
  }
}
