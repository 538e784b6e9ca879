/**
 * One pool as a state machine. Pure: it is told what happened and acts through `PoolEffects`. The table:
 *
 * | phase    | meaning                                | goes on by                                                  |
 * |----------|----------------------------------------|-------------------------------------------------------------|
 * | resting  | no group; perhaps one member answers   | a member counts again, time, the owner: checking            |
 * | checking | members are looked at, nothing runs    | group: opening; one will do, or refused: resting            |
 * | opening  | every end of the wire is being opened  | all open: starting; a failure: stopping                     |
 * | starting | workers, then the head, load           | the head's first token: ready; a failure, silence: stopping |
 * | ready    | the group answers                      | a death, a member gone: stopping; owner, growth: draining   |
 * | draining | answers under way end, no new ones     | the last, or time: stopping                                 |
 * | stopping | every part is being ended              | all ended, or time: resting, checking or gone               |
 *
 * A group is stopped as a whole: half of one holds memory and answers nobody. A new one begins only when the old one is
 * gone, so that two never run. After a failure the members left are looked at at once; after a second in a row it waits.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { Checked, GroupPlan, PoolEffects, PoolPolicy, PoolStanding, PoolWish } from './effects.ts'
import { GroupRun } from './group-run.ts'
import { MemberTable } from './member-table.ts'
import { NamedTimers } from './named-timers.ts'

/** What follows when a group has ended. */
type Next = 'form' | 'rest' | 'remove'

export interface MachineDeps {
  effects: PoolEffects
  policy: PoolPolicy
  clock: Clock
  /** New for every launch, over all pools. */
  nextAttempt(): number
  /** Called when the pool is gone for good. */
  forget(): void
}

export class PoolMachine {
  readonly wish: PoolWish
  private readonly deps: MachineDeps
  private readonly members: MemberTable
  /** Its one member is the way to a cluster: nobody can do without it, and it is asked again soon. */
  private readonly isCluster: boolean
  private readonly timers: NamedTimers<'check' | 'wake' | 'stable'>
  /** The look at members that is awaited: of one to be formed, or of a group that may grow. */
  private check: { attempt: number; members: readonly string[] } | null = null
  private run: GroupRun | null = null
  /** The member that answers alone while no group does. */
  private solo: string | null = null
  /** One machine is faster: the group is not wanted while that holds. */
  private pinned: string | null = null
  private next: Next = 'form'
  private readonly removals: number[] = []
  /** The ticket of whoever made it, until its members were found right. */
  private creation: number | null
  private failures = 0
  private pausedUntil = 0
  private reason: string | null = null
  /** Why its last group ended, until another serves. */
  private broke: string | null = null
  private readySince: number | null = null
  private nextTry: number | null = null

  constructor(wish: PoolWish, creation: number | null, deps: MachineDeps) {
    this.wish = wish
    this.creation = creation
    this.deps = deps
    this.members = new MemberTable(wish.members, deps.policy, deps.clock)
    this.timers = new NamedTimers(deps.clock)
    this.isCluster = clusterEngineIds.has(wish.engine)
  }

  standing(): PoolStanding {
    const { run } = this
    const ready = run?.phase === 'ready'
    return {
      wish: this.wish,
      phase: run?.phase ?? (this.check === null ? 'resting' : 'checking'),
      service: ready ? 'group' : this.solo === null ? 'none' : 'solo',
      attempt: run?.attempt ?? null,
      solo: ready ? null : this.solo,
      ranks: run?.members ?? [],
      members: this.members.standings(run?.members ?? []),
      reason: this.reason,
      progress: run?.progress ?? null,
      readySinceMs: this.readySince,
      nextTryMs: this.nextTry,
    }
  }

  /** Looks for the first time, at whoever is there. */
  begin(): void {
    this.form()
  }

  onNode(node: string, here: boolean): void {
    if (!this.members.setHere(node, here)) return
    if (here) {
      this.wake()
      return
    }
    if (this.pinned === node) this.pinned = null
    if (this.solo === node) this.leaveSolo(`${this.deps.effects.nameOf(node)} is gone.`)
    this.run?.onGone(node)
    if (this.check?.members.includes(node)) this.onGoneWhileChecked(node)
    this.tell()
  }

  onChecked(attempt: number, checked: Checked): void {
    if (attempt !== this.check?.attempt) return
    this.endCheck()
    if (this.run !== null) this.onGrowthChecked(checked)
    else if (checked.kind === 'refused') this.onRefused(checked.error, checked.member)
    else if (checked.kind === 'solo') this.onSolo(checked.node)
    else this.launch(attempt, checked.plan)
  }

  /** The group of an attempt, for what happens to its parts; null when that attempt is over. */
  runOf(attempt: number): GroupRun | null {
    return this.run?.attempt === attempt ? this.run : null
  }

  /** One member's own engine is faster than the pool; null when it no longer is. */
  onPin(faster: string | null): void {
    const node = faster !== null && this.members.isHere(faster) ? faster : null
    if (node === this.pinned || this.removals.length > 0 || this.creation !== null) return
    this.pinned = node
    if (node !== null) {
      this.endCheck()
      if (this.run === null) this.rest(null)
      else this.give('rest')
    } else if (this.run === null) this.form()
  }

  /** The member that was to serve it alone cannot. */
  onSoloFailed(node: string, reason: string): void {
    if (this.solo !== node) return
    this.pinned = null
    this.members.setUnfit(node, reason, this.deps.policy.backoffMaxMs)
    this.leaveSolo(reason)
    if (this.run === null) this.form()
  }

  /** The owner asks for another try: what was held against members is forgotten. */
  onRetry(): void {
    this.members.forgive()
    this.failures = 0
    this.pausedUntil = 0
    if (this.run === null) this.form()
    else this.wake()
  }

  onRemove(ticket: number): void {
    this.removals.push(ticket)
    this.solo = null
    if (this.run === null) this.vanish()
    else this.give('remove')
  }

  /** The hub closes: nothing is waited for but the parts. */
  onClose(): void {
    this.solo = null
    this.next = 'remove'
    if (this.run === null) this.vanish()
    else this.run.stop()
  }

  private form(): void {
    this.endCheck()
    this.timers.cancel('wake')
    this.nextTry = null
    if (this.pinned !== null) {
      this.rest(null)
      return
    }
    const candidates = this.members.candidates()
    if (candidates.length === 0) {
      this.rest(this.reason ?? 'No member is there.')
      return
    }
    this.look(candidates, () => {
      const error = new HolonError('engine_unavailable', 'The members did not say in time what they bring.')
      this.onRefused(error, null)
    })
  }

  private look(members: readonly string[], tooLate: () => void): void {
    const attempt = this.deps.nextAttempt()
    this.check = { attempt, members }
    this.timers.set('check', this.deps.policy.checkMs, () => {
      this.check = null
      tooLate()
    })
    this.tell()
    this.deps.effects.check(this.wish.name, attempt, members)
  }

  private endCheck(): void {
    this.check = null
    this.timers.cancel('check')
  }

  private onGoneWhileChecked(node: string): void {
    this.endCheck()
    const message = `The member ${this.deps.effects.nameOf(node)} went away while it was looked at.`
    if (this.creation !== null) this.onRefused(new HolonError('engine_unavailable', message), null)
    // It was to join a group that serves: that one is not given up for whoever is not there.
    else if (this.run !== null) this.wake()
    else this.form()
  }

  private onRefused(error: HolonError, culprit: string | null): void {
    const { effects, policy } = this.deps
    if (this.creation !== null) {
      const ticket = this.creation
      this.creation = null
      this.vanish()
      effects.refused(ticket, error)
      return
    }
    const againMs = this.isCluster ? policy.settleMs : policy.backoffMaxMs
    const blamed = this.members.setUnfit(culprit, error.message, againMs)
    // The others may do without it.
    if (blamed && this.members.candidates().length > 0) {
      this.reason = error.message
      this.form()
      return
    }
    this.noteFailure()
    this.rest(this.broke === null ? error.message : `${error.message} Before that: ${this.broke}`)
  }

  private onSolo(node: string): void {
    this.acceptCreation()
    this.solo = node
    this.pausedUntil = this.deps.clock.now() + this.deps.policy.backoffMaxMs
    this.rest(this.reason ?? 'One of its members holds it alone while the others are missing.')
  }

  private launch(attempt: number, plan: GroupPlan): void {
    const { effects, policy, clock } = this.deps
    this.acceptCreation()
    this.solo = null
    this.next = 'form'
    this.run = new GroupRun(attempt, plan, {
      pool: this.wish.name,
      effects,
      policy,
      clock,
      onReady: () => this.onReady(),
      onFailed: (member, reason) => this.onFailed(member, reason),
      onEnded: () => this.onEnded(),
    })
    this.run.begin()
  }

  private onReady(): void {
    const { clock, policy } = this.deps
    this.readySince = clock.now()
    this.broke = null
    const missing = this.members.size - (this.run?.members.length ?? 0)
    const are = missing === 1 ? 'is' : 'are'
    this.reason = missing === 0 ? null : `${missing} of its ${this.members.size} members ${are} missing.`
    this.timers.set('stable', policy.stableMs, () => {
      this.failures = 0
    })
    this.wake()
  }

  private onFailed(member: string | null, reason: string): void {
    this.members.fail(this.isCluster ? null : member)
    this.noteFailure()
    this.reason = reason
    this.broke = reason
    this.leaveService()
    this.deps.effects.log('warn', { pool: this.wish.name, member }, `a pool lost its group: ${reason}`)
  }

  private onEnded(): void {
    this.run = null
    if (this.next === 'remove') this.vanish()
    else if (this.next === 'form' && this.failures < 2) this.form()
    else this.rest(this.reason)
  }

  /** The group ends, after its answers; then comes what is `next`. Removal is for good. */
  private give(next: Next): void {
    if (this.next !== 'remove') this.next = next
    this.leaveService()
    this.run?.drain()
  }

  private leaveService(): void {
    this.endCheck()
    this.readySince = null
    this.timers.cancel('stable')
    this.timers.cancel('wake')
  }

  private onGrowthChecked(checked: Checked): void {
    const inGroup = this.run?.members ?? []
    if (checked.kind === 'group' && checked.plan.members.length > inGroup.length) {
      this.give('form')
      return
    }
    // What would not grow now is left alone for a while.
    const why = checked.kind === 'refused' ? checked.error.message : 'The pool would not use it.'
    for (const node of this.members.candidates())
      if (!inGroup.includes(node)) this.members.setUnfit(node, why, this.deps.policy.settleMaxMs)
    this.tell()
    this.wake()
  }

  private noteFailure(): void {
    const { backoffMs, backoffMaxMs } = this.deps.policy
    this.failures++
    const pauseMs = Math.min(backoffMaxMs, backoffMs * 2 ** Math.min(20, this.failures - 1))
    this.pausedUntil = this.deps.clock.now() + pauseMs
  }

  /** No group for now: until time has passed, a member counts again or the owner says so. */
  private rest(reason: string | null): void {
    if (this.pinned !== null) this.solo = this.pinned
    this.reason = reason
    this.wake()
    this.tell()
  }

  private leaveSolo(reason: string): void {
    this.solo = null
    this.reason = reason
    this.tell()
    this.wake()
  }

  private vanish(): void {
    const { effects, forget } = this.deps
    this.timers.cancelAll()
    this.check = null
    forget()
    for (const ticket of this.removals.splice(0)) effects.removed(ticket)
    if (this.creation === null) return
    const ticket = this.creation
    this.creation = null
    const message = `The pool ${this.wish.name} was removed while it was being made.`
    effects.refused(ticket, new HolonError('pool_not_found', message))
  }

  /** Arranges for the next look: when the pause is over and somebody counts who is not in. */
  private wake(): void {
    this.timers.cancel('wake')
    this.nextTry = null
    if (this.check !== null) return
    const at = this.run === null ? this.restsUntil() : this.growsAt()
    if (at === null) return
    if (this.run === null) this.nextTry = at
    this.timers.set('wake', Math.max(0, at - this.deps.clock.now()), () => {
      if (this.run === null) this.form()
      else this.grow()
    })
  }

  /** Alone, one member serves well enough to wait for another; with nobody serving, time brings the next try. */
  private restsUntil(): number | null {
    if (this.pinned !== null) return null
    const coming = this.members.nextComing(this.solo === null ? [] : [this.solo])
    return coming === null ? null : Math.max(coming, this.pausedUntil)
  }

  private growsAt(): number | null {
    if (this.readySince === null || this.run === null) return null
    const coming = this.members.nextComing(this.run.members)
    return coming === null ? null : Math.max(coming, this.readySince + this.deps.policy.growAfterMs)
  }

  private grow(): void {
    const inGroup = this.run?.members ?? []
    const candidates = this.members.candidates()
    if (candidates.some((node) => !inGroup.includes(node))) this.look(candidates, () => this.wake())
    else this.wake()
  }

  private acceptCreation(): void {
    if (this.creation === null) return
    const ticket = this.creation
    this.creation = null
    this.deps.effects.accepted(ticket)
  }

  private tell(): void {
    this.deps.effects.changed(this.wish.name)
  }
}
