/**
 * A controller whose effects are written down, and checked while they are: what must never happen throws at once.
 * Tests answer the effects when they like, or let `settle` answer all of them.
 */
import { FakeClock } from '../../core/clock.ts'
import type { HolonError } from '../../core/errors.ts'
import { PoolController } from './controller.ts'
import type { Checked, PoolPolicy, PoolWish } from './effects.ts'

export interface Asked {
  kind: 'check' | 'open' | 'start' | 'stop'
  pool: string
  attempt: number
  rank: number
  members: readonly string[]
}

interface Part {
  node: string
  engine: string
  started: boolean
  stopping: boolean
}

export function wishFor(name: string, members: readonly string[], more: Partial<PoolWish> = {}): PoolWish {
  return {
    name,
    model: 'big',
    members,
    engine: 'llama-rpc',
    contextTokens: null,
    parallel: null,
    fallback: null,
    isolatedLinks: [],
    ...more,
  }
}

export class RecordedController {
  readonly clock = new FakeClock(1_000_000)
  readonly controller: PoolController
  /** What was asked and not answered yet, oldest first. */
  readonly asked: Asked[] = []
  readonly accepted: number[] = []
  readonly refused: { ticket: number; error: HolonError }[] = []
  readonly removed: number[] = []
  /** Parts that were opened and whose end was not confirmed, by attempt and rank. */
  readonly parts = new Map<string, Part>()
  private readonly engines = new Map<string, string>()
  private tickets = 0

  constructor(policy: Partial<PoolPolicy> = {}) {
    const ask = (
      kind: Asked['kind'],
      pool: string,
      attempt: number,
      rank = -1,
      members: readonly string[] = [],
    ) => this.asked.push({ kind, pool, attempt, rank, members })
    this.controller = new PoolController(
      {
        check: (pool, attempt, members) => void ask('check', pool, attempt, -1, members),
        open: (pool, attempt, rank) => {
          this.noteOpen(pool, attempt, rank)
          ask('open', pool, attempt, rank)
        },
        start: (pool, attempt, rank) => {
          const part = this.partOf(attempt, rank)
          if (part.stopping) throw new Error('a part is started that is being stopped')
          part.started = true
          ask('start', pool, attempt, rank)
        },
        stop: (pool, attempt, rank) => {
          const part = this.partOf(attempt, rank)
          if (part.stopping) throw new Error('a part is stopped twice')
          part.stopping = true
          ask('stop', pool, attempt, rank)
        },
        nameOf: (node) => node,
        accepted: (ticket) => this.accepted.push(ticket),
        refused: (ticket, error) => this.refused.push({ ticket, error }),
        removed: (ticket) => this.removed.push(ticket),
        changed: () => this.checkReady(),
        log: (_level, _fields, message) => {
          // The time to stop is over: the streams are closed, which ends the parts.
          if (!/did not confirm/.test(message)) return
          for (const [key, part] of this.parts) if (part.stopping) this.parts.delete(key)
        },
      },
      this.clock,
      policy,
    )
  }

  create(wish: PoolWish): number {
    this.engines.set(wish.name, wish.engine)
    this.controller.onCreate(++this.tickets, wish)
    return this.tickets
  }

  /** The oldest thing asked for of a kind, taken off the list. */
  take(kind: Asked['kind'], rank?: number): Asked {
    const at = this.asked.findIndex((one) => one.kind === kind && (rank === undefined || one.rank === rank))
    if (at === -1) throw new Error(`nothing of kind ${kind} was asked for`)
    return this.asked.splice(at, 1)[0] as Asked
  }

  /** Answers a check with a group of all that were looked at. */
  answerCheck(checked?: Checked): void {
    const { pool, attempt, members } = this.take('check')
    this.controller.onChecked(pool, attempt, checked ?? groupOf(members))
  }

  /** Answers everything well, until nothing is asked for any more. */
  settle(): void {
    for (let rounds = 0; this.asked.length > 0; rounds++) {
      if (rounds > 1000) throw new Error('it never comes to rest')
      this.answerWell(this.asked[0] as Asked)
    }
  }

  answerWell(one: Asked): void {
    this.asked.splice(this.asked.indexOf(one), 1)
    const { pool, attempt, rank, members } = one
    if (one.kind === 'check') this.controller.onChecked(pool, attempt, groupOf(members))
    else if (one.kind === 'open') this.controller.onOpened(pool, attempt, rank)
    else if (one.kind === 'start') this.controller.onStarted(pool, attempt, rank)
    else {
      this.parts.delete(`${attempt}/${rank}`)
      this.controller.onStopped(pool, attempt, rank)
    }
  }

  private noteOpen(pool: string, attempt: number, rank: number): void {
    const standing = this.controller.standing(pool)
    const node = standing?.ranks[rank]
    if (standing?.attempt !== attempt || node === undefined) throw new Error('a part of no group is opened')
    const engine = standing.wish.engine
    for (const [key, part] of this.parts) {
      if (part.node === node && part.engine === engine)
        throw new Error(`${node} would have two parts of ${engine}`)
      if (standing.ranks.includes(part.node) && !key.startsWith(`${attempt}/`) && part.engine === engine)
        throw new Error(`${pool} would have two groups`)
    }
    this.parts.set(`${attempt}/${rank}`, { node, engine, started: false, stopping: false })
  }

  private partOf(attempt: number, rank: number): Part {
    const part = this.parts.get(`${attempt}/${rank}`)
    if (!part) throw new Error(`part ${attempt}/${rank} was never opened`)
    return part
  }

  /** A pool that says it serves has every part of its group started and none being stopped. */
  private checkReady(): void {
    for (const { service, attempt, ranks } of this.controller.standings()) {
      if (service !== 'group') continue
      ranks.forEach((_, rank) => {
        const part = this.parts.get(`${attempt}/${rank}`)
        if (!part?.started || part.stopping) throw new Error('a pool serves with a part that does not run')
      })
    }
  }
}

export const groupOf = (members: readonly string[]): Checked => ({
  kind: 'group',
  plan: { members, together: false },
})
