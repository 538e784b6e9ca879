/** The members of one pool: who counts now, who will, and why the others do not. */
import type { Clock } from '../../core/clock.ts'
import type { MemberStanding, PoolPolicy } from './effects.ts'
import {
  countsFrom,
  forgive,
  type MemberRecord,
  newMember,
  noteFailure,
  standingOf,
} from './member-record.ts'

export class MemberTable {
  private readonly records: Map<string, MemberRecord>
  private readonly policy: PoolPolicy
  private readonly clock: Clock

  constructor(nodes: readonly string[], policy: PoolPolicy, clock: Clock) {
    this.records = new Map(nodes.map((node) => [node, newMember(node)]))
    this.policy = policy
    this.clock = clock
  }

  get size(): number {
    return this.records.size
  }

  isHere(node: string): boolean {
    return this.records.get(node)?.here === true
  }

  /** @returns true when that is news */
  setHere(node: string, here: boolean): boolean {
    const member = this.records.get(node)
    if (!member || member.here === here) return false
    member.here = here
    member.sinceMs = this.clock.now()
    if (here) member.unfit = null
    return true
  }

  fail(node: string | null): void {
    const member = node === null ? undefined : this.records.get(node)
    if (member) noteFailure(member, this.clock.now(), this.policy)
  }

  /** It cannot be planned with for a while. @returns false when it is no member */
  setUnfit(node: string | null, why: string, forMs: number): boolean {
    const member = node === null ? undefined : this.records.get(node)
    if (member) member.unfit = { why, untilMs: this.clock.now() + forMs }
    return member !== undefined
  }

  forgive(): void {
    for (const member of this.records.values()) forgive(member)
  }

  /** Ids of those that count now. */
  candidates(): string[] {
    const now = this.clock.now()
    return [...this.records.values()]
      .filter((member) => (countsFrom(member, now, this.policy) ?? Number.POSITIVE_INFINITY) <= now)
      .map(({ node }) => node)
  }

  /** When the first of the members that are here counts, `except` some; null when none is. Milliseconds. */
  nextComing(except: readonly string[] = []): number | null {
    const now = this.clock.now()
    const times = [...this.records.values()]
      .filter(({ node }) => !except.includes(node))
      .map((member) => countsFrom(member, now, this.policy))
      .filter((at) => at !== null)
    return times.length === 0 ? null : Math.min(...times)
  }

  standings(inGroup: readonly string[]): MemberStanding[] {
    const now = this.clock.now()
    return [...this.records.values()].map((member) =>
      standingOf(member, inGroup.includes(member.node), now, this.policy),
    )
  }
}
