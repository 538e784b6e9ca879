/**
 * All pools of a hub. It gives each pool's events to its machine, and keeps members from being promised twice: a
 * machine's part of one engine belongs to one pool from its making to its removal, except where that engine is a
 * cluster by itself.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import {
  type Checked,
  defaultPoolPolicy,
  type PoolEffects,
  type PoolPolicy,
  type PoolStanding,
  type PoolWish,
} from './effects.ts'
import { PoolMachine } from './pool-machine.ts'

export class PoolController {
  private readonly effects: PoolEffects
  private readonly clock: Clock
  private readonly policy: PoolPolicy
  private readonly pools = new Map<string, PoolMachine>()
  private readonly here = new Set<string>()
  private attempts = 0

  constructor(effects: PoolEffects, clock: Clock, policy: Partial<PoolPolicy> = {}) {
    this.effects = effects
    this.clock = clock
    this.policy = { ...defaultPoolPolicy, ...policy }
  }

  get size(): number {
    return this.pools.size
  }

  standings(): PoolStanding[] {
    return [...this.pools.values()].map((pool) => pool.standing())
  }

  standing(name: string): PoolStanding | null {
    return this.pools.get(name)?.standing() ?? null
  }

  /** A new wish. Answered by `accepted` when its members were looked at and will do, else by `refused`. */
  onCreate(ticket: number, wish: PoolWish): void {
    const refusal = this.refusalOf(wish)
    if (refusal !== null) this.effects.refused(ticket, refusal)
    else this.add(wish, ticket)
  }

  /** A wish of an earlier life of the hub: kept whatever its members say now. */
  onRestore(wish: PoolWish): void {
    if (!this.pools.has(wish.name)) this.add(wish, null)
  }

  /** @throws HolonError pool_not_found */
  onRemove(ticket: number, name: string): void {
    this.find(name).onRemove(ticket)
  }

  /** @throws HolonError pool_not_found */
  onRetry(name: string): void {
    this.find(name).onRetry()
  }

  onNode(node: string, here: boolean): void {
    if (here) this.here.add(node)
    else this.here.delete(node)
    for (const pool of [...this.pools.values()]) pool.onNode(node, here)
  }

  onChecked(pool: string, attempt: number, checked: Checked): void {
    this.pools.get(pool)?.onChecked(attempt, checked)
  }

  onOpened(pool: string, attempt: number, rank: number): void {
    this.pools.get(pool)?.runOf(attempt)?.onOpened(rank)
  }

  onProgress(pool: string, attempt: number, progress: LoadProgress): void {
    this.pools.get(pool)?.runOf(attempt)?.onProgress(progress)
  }

  onStarted(pool: string, attempt: number, rank: number): void {
    this.pools.get(pool)?.runOf(attempt)?.onStarted(rank)
  }

  onPartFailed(pool: string, attempt: number, rank: number, reason: string): void {
    this.pools.get(pool)?.runOf(attempt)?.onPartFailed(rank, reason)
  }

  onStopped(pool: string, attempt: number, rank: number): void {
    this.pools.get(pool)?.runOf(attempt)?.onStopped(rank)
  }

  /** Whether any answer of that group is under way. */
  onIdle(pool: string, attempt: number, idle: boolean): void {
    this.pools.get(pool)?.runOf(attempt)?.onIdle(idle)
  }

  onPin(pool: string, node: string | null): void {
    this.pools.get(pool)?.onPin(node)
  }

  onSoloFailed(pool: string, node: string, reason: string): void {
    this.pools.get(pool)?.onSoloFailed(node, reason)
  }

  onClose(): void {
    for (const pool of [...this.pools.values()]) pool.onClose()
  }

  private add(wish: PoolWish, ticket: number | null): void {
    const { effects, clock, policy } = this
    const pool = new PoolMachine(wish, ticket, {
      effects,
      clock,
      policy,
      nextAttempt: () => ++this.attempts,
      forget: () => this.pools.delete(wish.name),
    })
    this.pools.set(wish.name, pool)
    for (const node of wish.members) if (this.here.has(node)) pool.onNode(node, true)
    pool.begin()
  }

  private refusalOf(wish: PoolWish): HolonError | null {
    if (this.pools.has(wish.name)) {
      const hint = `Choose another name, or remove it first: \`holon pool remove ${wish.name}\`.`
      return new HolonError('pool_impossible', `There is a pool called ${wish.name} already.`, { hint })
    }
    for (const pool of this.pools.values()) {
      // A cluster serves many models at once; every other engine takes the machine.
      if (pool.wish.engine !== wish.engine || clusterEngineIds.has(wish.engine)) continue
      const shared = wish.members.find((node) => pool.wish.members.includes(node))
      if (shared === undefined) continue
      const name = this.effects.nameOf(shared)
      const message = `${name} takes part in the pool ${pool.wish.name} with ${wish.engine} already; a machine can be in one pool per engine.`
      const hint = `Leave ${name} out, or remove the other pool: \`holon pool remove ${pool.wish.name}\`.`
      return new HolonError('pool_impossible', message, { hint })
    }
    const away = wish.members.find((node) => !this.here.has(node))
    if (away === undefined) return null
    return new HolonError('pool_impossible', `${this.effects.nameOf(away)} is not ready.`, {
      hint: '`holon nodes` says why.',
    })
  }

  private find(name: string): PoolMachine {
    const pool = this.pools.get(name)
    if (pool) return pool
    throw new HolonError('pool_not_found', `There is no pool called ${name}.`)
  }
}
