/**
 * Where a node stands, as a table of states and what moves them. Pure: told what happened and when, it answers with the
 * next state. The registry does what follows from it.
 *
 * | state | meaning | asked for answers | leaves it |
 * |---|---|---|---|
 * | joining | its tunnel is open, its picture not here | no | picture: ready, or probation when it flapped |
 * | ready | there, and trusted | yes | silence or a false picture: suspect; loss: gone |
 * | suspect | silent, or its picture was refused | only when no other can | sign of life or a good picture: probation |
 * | probation | there, but it came and went lately | only when no other can | time without a loss: ready |
 * | gone | its tunnel ended | no | it comes back: joining; time: removed |
 * | revoked | its credential is void | no | time: removed |
 */
import type { memberPhases } from '../../protocol/node.ts'

export type MemberPhase = (typeof memberPhases)[number]

export interface Membership {
  readonly phase: MemberPhase
  /** When this state began. Milliseconds since the epoch, as all times here. */
  readonly sinceMs: number
  /** Why it is not ready, when it is not. */
  readonly reason: string | null
  readonly heardMs: number
  /** When its tunnel broke lately, oldest first; a stop in order does not count. */
  readonly losses: readonly number[]
  /** A good picture came in this connection. */
  readonly pictured: boolean
}

export type MemberEvent =
  | { type: 'connected' }
  /** A picture that passed the check. */
  | { type: 'reported' }
  /** A picture that did not, or another breach that the tunnel survives. */
  | { type: 'lied'; reason: string }
  /** Anything at all came through the tunnel. */
  | { type: 'heard' }
  | { type: 'lost'; reason: string; orderly: boolean }
  | { type: 'revoked'; reason: string }
  | { type: 'tick' }

export interface MemberPolicy {
  /** Silence that makes a node suspect; the heartbeat comes every 3 s. */
  silenceMs: number
  /** Losses within this time count as flapping. */
  flapWindowMs: number
  /** So many of them, and the next return is on probation. */
  flapLosses: number
  /** Probation after the first flap; doubled with each further loss, up to `probationMaxMs`. */
  probationMs: number
  probationMaxMs: number
  /** A node that has been gone this long is forgotten until it comes back. */
  ghostMs: number
}

export const defaultMemberPolicy: MemberPolicy = {
  silenceMs: 5_000,
  flapWindowMs: 120_000,
  flapLosses: 2,
  probationMs: 10_000,
  probationMaxMs: 120_000,
  ghostMs: 10 * 60_000,
}

export function newMember(nowMs: number): Membership {
  return { phase: 'joining', sinceMs: nowMs, reason: null, heardMs: nowMs, losses: [], pictured: false }
}

/** @returns the next state; the same object when nothing changed; null when the node is to be forgotten */
export function nextMembership(
  now: Membership,
  event: MemberEvent,
  nowMs: number,
  policy: MemberPolicy = defaultMemberPolicy,
): Membership | null {
  const become = (phase: MemberPhase, reason: string | null, more: Partial<Membership> = {}): Membership => {
    const sinceMs = phase === now.phase ? now.sinceMs : nowMs
    return { ...now, phase, reason, sinceMs, ...more }
  }
  if (event.type === 'revoked') return become('revoked', event.reason)
  if (now.phase === 'revoked') return afterTime(now, event, nowMs, policy)
  switch (event.type) {
    case 'connected': {
      const losses = isConnected(now.phase) ? withLoss(now, nowMs, policy) : recent(now, nowMs, policy)
      return become('joining', null, { sinceMs: nowMs, heardMs: nowMs, losses, pictured: false })
    }
    case 'lost': {
      if (!isConnected(now.phase)) return now
      const losses = event.orderly ? now.losses : withLoss(now, nowMs, policy)
      return become('gone', event.reason, { losses, pictured: false })
    }
    case 'reported': {
      if (!isConnected(now.phase)) return now
      const heard = { heardMs: nowMs, pictured: true }
      if (now.phase === 'ready' || now.phase === 'probation') return become(now.phase, now.reason, heard)
      return now.phase === 'suspect' || flaps(now, nowMs, policy)
        ? become('probation', probationReason(now, nowMs, policy), heard)
        : become('ready', null, heard)
    }
    case 'lied':
      return isConnected(now.phase)
        ? become('suspect', event.reason, { heardMs: nowMs, pictured: false })
        : now
    case 'heard': {
      if (!isConnected(now.phase)) return now
      if (now.phase === 'suspect' && now.pictured)
        return become('probation', 'It was silent a moment ago.', { heardMs: nowMs })
      return { ...now, heardMs: nowMs }
    }
    case 'tick':
      return afterTime(now, event, nowMs, policy)
  }
}

function afterTime(
  now: Membership,
  event: MemberEvent,
  nowMs: number,
  policy: MemberPolicy,
): Membership | null {
  if (event.type !== 'tick') return now
  const lastedMs = nowMs - now.sinceMs
  const enter = (phase: MemberPhase, reason: string | null): Membership => ({
    ...now,
    phase,
    reason,
    sinceMs: nowMs,
  })
  if (now.phase === 'gone' || now.phase === 'revoked') return lastedMs >= policy.ghostMs ? null : now
  const silentMs = nowMs - now.heardMs
  if (silentMs >= policy.silenceMs && now.phase !== 'suspect')
    return enter('suspect', `Nothing was heard of it for ${Math.floor(silentMs / 1000)} s.`)
  if (now.phase === 'probation' && lastedMs >= probationMs(now, nowMs, policy)) return enter('ready', null)
  return now
}

export function isConnected(phase: MemberPhase): boolean {
  return phase !== 'gone' && phase !== 'revoked'
}

function recent(now: Membership, nowMs: number, policy: MemberPolicy): number[] {
  return now.losses.filter((at) => nowMs - at < policy.flapWindowMs)
}

function withLoss(now: Membership, nowMs: number, policy: MemberPolicy): number[] {
  return [...recent(now, nowMs, policy), nowMs].slice(-16)
}

function flaps(now: Membership, nowMs: number, policy: MemberPolicy): boolean {
  return recent(now, nowMs, policy).length >= policy.flapLosses
}

function probationMs(now: Membership, nowMs: number, policy: MemberPolicy): number {
  const beyond = Math.max(0, recent(now, nowMs, policy).length - policy.flapLosses)
  return Math.min(policy.probationMaxMs, policy.probationMs * 2 ** beyond)
}

function probationReason(now: Membership, nowMs: number, policy: MemberPolicy): string {
  const losses = recent(now, nowMs, policy).length
  if (losses < policy.flapLosses) return now.reason ?? 'It was suspect a moment ago.'
  return `Its connection broke ${losses} times in ${policy.flapWindowMs / 1000} s.`
}
