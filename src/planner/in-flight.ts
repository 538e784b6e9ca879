import { type Constants, constants as shipped } from './constants.ts'
import { memberDecodeTerms } from './speed/decode.ts'
import { decodeTerms } from './speed/pool.ts'
import type { Setup } from './speed/setup.ts'
import { totalSeconds } from './speed/terms.ts'

/**
 * Many requests on a pipeline: while one token is in the second stage another can be in the first. One request gains
 * nothing; with as many in flight as there are stages every machine works all the time, and the slowest sets the pace.
 */

export interface InFlight {
  requests: number
  /** Tokens per second of all of them together. */
  tokS: number
}

/** Seconds one token spends in each stage. */
export function stageSeconds(
  setup: Setup,
  shares: readonly number[],
  constants: Constants = shipped,
): number[] {
  return setup.members.map((member, i) =>
    totalSeconds(memberDecodeTerms(setup, member, shares[i] ?? 0, 1), constants.decode),
  )
}

/** Throughput with m in flight, not batched: min(m / time of a token, 1 / slowest stage). */
export function throughput(tokenSeconds: number, slowestStage: number, requests: number): number {
  return Math.min(requests / tokenSeconds, 1 / Math.max(slowestStage, tokenSeconds / requests))
}

/** Throughput of a pipeline for one request, for one per stage and for twice as many. */
export function inFlight(
  setup: Setup,
  shares: readonly number[],
  constants: Constants = shipped,
): InFlight[] {
  const one = { ...setup, batch: 1 }
  const tokenSeconds = totalSeconds(decodeTerms(one, shares), constants.decode)
  const slowest = Math.max(...stageSeconds(one, shares, constants))
  const stages = setup.members.length
  return [1, stages, 2 * stages].map((requests) => ({
    requests,
    tokS: throughput(tokenSeconds, slowest, requests),
  }))
}
