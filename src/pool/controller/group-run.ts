/**
 * One group from its launch to its end. Pure. It is opened, started and stopped as a whole: half of a group holds memory
 * and answers nobody. Every step is bounded in time, so that a member that says nothing holds up nobody.
 */
import type { Clock } from '../../core/clock.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { GroupPlan, PoolEffects, PoolPolicy } from './effects.ts'
import { Group } from './group.ts'
import { NamedTimers } from './named-timers.ts'

export type RunPhase = 'opening' | 'starting' | 'ready' | 'draining' | 'stopping'

export interface RunDeps {
  pool: string
  effects: PoolEffects
  policy: PoolPolicy
  clock: Clock
  /** The head's first token came out. */
  onReady(): void
  /** It failed, and is being stopped. `member` when one is to blame. */
  onFailed(member: string | null, reason: string): void
  /** Every part has ended, or its time to do so has. */
  onEnded(): void
}

export class GroupRun {
  readonly attempt: number
  readonly members: readonly string[]
  phase: RunPhase = 'opening'
  progress: LoadProgress | null = null
  private readonly deps: RunDeps
  private readonly group: Group
  private readonly timers: NamedTimers<'step'>
  private idle = true

  constructor(attempt: number, plan: GroupPlan, deps: RunDeps) {
    this.attempt = attempt
    this.members = plan.members
    this.deps = deps
    this.group = new Group(plan)
    this.timers = new NamedTimers(deps.clock)
  }

  begin(): void {
    const { pool, effects } = this.deps
    this.expectOpen()
    effects.changed(pool)
    // A part may fail at once and take the group with it.
    for (const rank of this.group.ranks())
      if (this.phase === 'opening') effects.open(pool, this.attempt, rank)
  }

  onOpened(rank: number): void {
    if (this.phase !== 'opening') return
    const begin = this.group.onOpened(rank)
    if (begin.length === 0) return
    this.phase = 'starting'
    this.expectSign()
    this.deps.effects.changed(this.deps.pool)
    this.start(begin)
  }

  /** How far the whole group is. */
  onProgress(progress: LoadProgress): void {
    if (this.phase !== 'starting' && this.phase !== 'opening') return
    this.progress = progress
    // Before a part can open, the model's files may have to come to its member.
    if (this.phase === 'opening') this.expectOpen()
    else this.expectSign()
    this.deps.effects.changed(this.deps.pool)
  }

  onStarted(rank: number): void {
    if (this.phase !== 'starting') return
    this.expectSign()
    this.start(this.group.onStarted(rank))
    if (!this.group.running) return
    this.timers.cancel('step')
    this.phase = 'ready'
    this.progress = null
    this.deps.onReady()
    this.deps.effects.changed(this.deps.pool)
  }

  /** A part could not be opened or started, or ended by itself. */
  onPartFailed(rank: number, reason: string): void {
    if (this.phase !== 'stopping') this.fail(this.members[rank] ?? null, reason)
  }

  /** The way to a member is gone. */
  onGone(node: string): void {
    if (this.phase !== 'stopping' && this.members.includes(node))
      this.fail(node, `${this.deps.effects.nameOf(node)} is gone.`)
  }

  onStopped(rank: number): void {
    this.group.onStopped(rank)
    if (this.phase === 'stopping' && this.group.stopped) this.end()
  }

  /** Whether any answer is under way. */
  onIdle(idle: boolean): void {
    this.idle = idle
    if (idle && this.phase === 'draining') this.stop()
  }

  /** Lets answers under way end, then stops; what does not serve yet stops at once. */
  drain(): void {
    if (this.phase === 'draining') return
    if (this.phase !== 'ready' || this.idle) {
      this.stop()
      return
    }
    this.phase = 'draining'
    this.timers.set('step', this.deps.policy.drainMs, () => this.stop())
    this.deps.effects.changed(this.deps.pool)
  }

  stop(): void {
    if (this.phase !== 'stopping') this.stopAfter(() => undefined)
  }

  private expectOpen(): void {
    this.timers.set('step', this.deps.policy.openMs, () =>
      this.fail(null, 'The members did not open their ends in time.'),
    )
  }

  private start(ranks: readonly number[]): void {
    for (const rank of ranks)
      if (this.phase === 'starting') this.deps.effects.start(this.deps.pool, this.attempt, rank)
  }

  private fail(member: string | null, reason: string): void {
    this.stopAfter(() => this.deps.onFailed(member, reason))
  }

  private stopAfter(tell: () => void): void {
    const { pool, effects, policy } = this.deps
    this.phase = 'stopping'
    this.progress = null
    this.timers.set('step', policy.stopMs, () => {
      effects.log('warn', { pool }, 'a part did not confirm its end in time')
      this.end()
    })
    tell()
    // Requests hear of it before anything else happens.
    effects.changed(pool)
    for (const rank of this.group.stop()) effects.stop(pool, this.attempt, rank)
  }

  private end(): void {
    this.timers.cancel('step')
    this.deps.onEnded()
  }

  private expectSign(): void {
    this.timers.set('step', this.deps.policy.startSilenceMs, () =>
      this.fail(null, 'It stopped loading: nothing was heard of its progress.'),
    )
  }
}
