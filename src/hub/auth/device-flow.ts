/**
 * The device flow of RFC 8628 as a table of requests that wait for a person. In memory: a request lives ten minutes,
 * and one that a restart of the hub forgets is simply made again. Only this machine's clock is read, and a node is told
 * spans, never times, so that clocks that differ do no harm.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { DeviceError } from '../../protocol/joining.ts'
import { hashOf, newSecret, newUserCode, readUserCode, sameHash } from './secrets.ts'

export interface DevicePolicy {
  expiresMs: number
  intervalS: number
  maxWaiting: number
}

export const defaultDevicePolicy: DevicePolicy = { expiresMs: 10 * 60_000, intervalS: 2, maxWaiting: 256 }

/** RFC 8628, section 3.5: each `slow_down` adds five seconds. */
const slowDownS = 5
/** A node whose timer runs a little early is not punished for it. */
const earlyMs = 250

export interface DeviceRequest {
  readonly userCode: string
  /** Who asks, as it calls itself. */
  readonly name: string
  /** From which address. */
  readonly from: string
  readonly expiresAtMs: number
  /** Known only to the page that shows this request: an approval without it comes from elsewhere. */
  readonly csrf: string
}

interface Waiting extends DeviceRequest {
  intervalS: number
  pollableAtMs: number
  answer: { approved: true; by: string } | { approved: false } | null
}

export type PollResult =
  | { kind: 'error'; error: DeviceError }
  | { kind: 'approved'; by: string; request: DeviceRequest }

export class DeviceFlow {
  private readonly clock: Clock
  private readonly policy: DevicePolicy
  /** By the hash of the device code. */
  private readonly waiting = new Map<string, Waiting>()

  constructor(clock: Clock, policy: DevicePolicy = defaultDevicePolicy) {
    this.clock = clock
    this.policy = policy
  }

  /** @throws HolonError overloaded */
  begin(name: string, from: string): { deviceCode: string; request: DeviceRequest; intervalS: number } {
    this.dropExpired()
    const { maxWaiting, intervalS, expiresMs } = this.policy
    if (this.waiting.size >= maxWaiting) {
      throw new HolonError('overloaded', 'Too many machines wait for approval.', { retryAfterS: 60 })
    }
    const deviceCode = newSecret('hdev')
    const nowMs = this.clock.now()
    const request: Waiting = {
      userCode: this.freeCode(),
      name,
      from,
      expiresAtMs: nowMs + expiresMs,
      csrf: randomBytes(24).toString('base64url'),
      intervalS,
      pollableAtMs: nowMs,
      answer: null,
    }
    this.waiting.set(hashOf(deviceCode), request)
    return { deviceCode, request, intervalS }
  }

  /** The node asks whether it may come in. An approval stays until `finish`, so that a lost answer can be asked for again. */
  poll(deviceCode: string): PollResult {
    const request = this.waiting.get(hashOf(deviceCode))
    const nowMs = this.clock.now()
    if (!request || nowMs >= request.expiresAtMs) return { kind: 'error', error: 'expired_token' }
    if (request.answer?.approved === false) {
      this.finish(deviceCode)
      return { kind: 'error', error: 'access_denied' }
    }
    if (request.answer?.approved === true) return { kind: 'approved', by: request.answer.by, request }
    const early = nowMs < request.pollableAtMs - earlyMs
    if (early) request.intervalS += slowDownS
    request.pollableAtMs = nowMs + request.intervalS * 1000
    return { kind: 'error', error: early ? 'slow_down' : 'authorization_pending' }
  }

  /** The node has what it came for: the code is void. False when it was void before. */
  finish(deviceCode: string): boolean {
    return this.waiting.delete(hashOf(deviceCode))
  }

  /** The request that a person names by its code; null when there is none that still waits. */
  find(typed: string): DeviceRequest | null {
    this.dropExpired()
    const code = readUserCode(typed)
    return [...this.waiting.values()].find((each) => each.userCode === code && each.answer === null) ?? null
  }

  /** @throws HolonError join_expired, origin_refused */
  decide(
    typed: string,
    csrf: string,
    decision: { approved: true; by: string } | { approved: false },
  ): DeviceRequest {
    const request = this.find(typed) as Waiting | null
    if (!request) throw new HolonError('join_expired', 'This code is not known, or no longer.')
    if (!sameHash(hashOf(csrf), hashOf(request.csrf))) {
      throw new HolonError(
        'origin_refused',
        'The answer does not come from the page that showed the request.',
      )
    }
    request.answer = decision
    return request
  }

  private freeCode(): string {
    for (;;) {
      const code = newUserCode()
      if (![...this.waiting.values()].some((each) => each.userCode === code)) return code
    }
  }

  private dropExpired(): void {
    const nowMs = this.clock.now()
    for (const [hash, request] of this.waiting) if (nowMs >= request.expiresAtMs) this.waiting.delete(hash)
  }
}
