/**
 * What a pool remembers of one member: whether it is there, how often it failed, and from when on it is counted again.
 * A laptop whose lid opens and closes must not take the pool down and up with it: each failure doubles the time it
 * must have been there, and too many leave it out.
 */
import type { MemberStanding, PoolPolicy } from './effects.ts'

export interface MemberRecord {
  readonly node: string
  here: boolean
  /** When it came, milliseconds. */
  sinceMs: number
  /** When it failed the pool lately, oldest first. */
  failures: number[]
  leftOutUntilMs: number
  /** Why it could not be planned with, until it is looked at again. */
  unfit: { why: string; untilMs: number } | null
}

export function newMember(node: string): MemberRecord {
  return { node, here: false, sinceMs: 0, failures: [], leftOutUntilMs: 0, unfit: null }
}

export function noteFailure(member: MemberRecord, nowMs: number, policy: PoolPolicy): void {
  const recent = member.failures.filter((at) => nowMs - at < policy.failureWindowMs)
  member.failures = [...recent, nowMs].slice(-16)
  if (member.failures.length >= policy.maxFailures) member.leftOutUntilMs = nowMs + policy.leaveOutMs
}

/** The owner says: try again. */
export function forgive(member: MemberRecord): void {
  member.failures = []
  member.leftOutUntilMs = 0
  member.unfit = null
}

/** From when on it is counted, if nothing else happens; null while it is away. Not later than now: it is counted. */
export function countsFrom(member: MemberRecord, nowMs: number, policy: PoolPolicy): number | null {
  if (!member.here) return null
  return Math.max(settledAt(member, nowMs, policy), member.leftOutUntilMs, member.unfit?.untilMs ?? 0)
}

export function standingOf(
  member: MemberRecord,
  inGroup: boolean,
  nowMs: number,
  policy: PoolPolicy,
): MemberStanding {
  const base = { node: member.node, failures: recentFailures(member, nowMs, policy) }
  if (inGroup) return { ...base, state: 'in', why: null, untilMs: null }
  if (!member.here) return { ...base, state: 'away', why: 'It is not connected.', untilMs: null }
  if (member.leftOutUntilMs > nowMs) {
    const why = `It failed ${base.failures} times in a row and is left out.`
    return { ...base, state: 'left-out', why, untilMs: member.leftOutUntilMs }
  }
  if (member.unfit && member.unfit.untilMs > nowMs)
    return { ...base, state: 'unfit', why: member.unfit.why, untilMs: member.unfit.untilMs }
  const settled = settledAt(member, nowMs, policy)
  if (settled > nowMs) {
    const why = 'It failed a moment ago and must be there for a while before it is counted again.'
    return { ...base, state: 'settling', why, untilMs: settled }
  }
  return { ...base, state: 'here', why: null, untilMs: null }
}

function recentFailures(member: MemberRecord, nowMs: number, policy: PoolPolicy): number {
  return member.failures.filter((at) => nowMs - at < policy.failureWindowMs).length
}

/** A first failure of a process costs no time: most are over with a restart. Absence and repetition do. */
function settledAt(member: MemberRecord, nowMs: number, policy: PoolPolicy): number {
  const last = member.failures.at(-1)
  if (last === undefined) return 0
  const repeats = recentFailures(member, nowMs, policy) - (member.sinceMs > last ? 0 : 1)
  if (repeats <= 0) return 0
  const waitMs = Math.min(policy.settleMaxMs, policy.settleMs * 2 ** (repeats - 1))
  return Math.max(member.sinceMs, last) + waitMs
}
