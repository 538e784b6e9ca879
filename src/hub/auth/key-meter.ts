/**
 * What one key has used of its limits. Rates are buckets that fill evenly: a minute's worth may come at once, and then
 * as much as has flowed in. Tokens are known when an answer ends and charged then, so that what is under way when a
 * limit is reached may go over it by its own size, and the next waits for longer. Pure: both clocks are given.
 */
import { HolonError } from '../../core/errors.ts'
import type { KeyLimits } from '../../protocol/keys.ts'

const minuteS = 60

/** Fills from empty in a minute. May be below zero. */
class Rate {
  private perMinute: number
  private level: number
  private atS: number

  constructor(perMinute: number, nowS: number) {
    this.perMinute = perMinute
    this.level = perMinute
    this.atS = nowS
  }

  get limit(): number {
    return this.perMinute
  }

  /** A limit that was changed keeps what was used. */
  change(perMinute: number, nowS: number): void {
    this.fill(nowS)
    this.level = Math.min(perMinute, this.level + perMinute - this.perMinute)
    this.perMinute = perMinute
  }

  available(nowS: number): number {
    this.fill(nowS)
    return this.level
  }

  take(amount: number): void {
    this.level -= amount
  }

  /** Seconds until there is `amount`. */
  waitS(amount: number): number {
    return Math.max(0, ((amount - this.level) / this.perMinute) * minuteS)
  }

  private fill(nowS: number): void {
    const flowed = ((nowS - this.atS) / minuteS) * this.perMinute
    this.level = Math.min(this.perMinute, this.level + Math.max(0, flowed))
    this.atS = nowS
  }
}

/** Tokens since the beginning of a day or month, UTC. */
class Quota {
  private period = ''
  private own = 0
  /** By other hubs on the same books, and by earlier lives of this one. */
  private others = 0
  private readonly length: 'day' | 'month'

  constructor(length: 'day' | 'month') {
    this.length = length
  }

  used(nowMs: number): number {
    this.turnOver(nowMs)
    return this.own + this.others
  }

  add(tokens: number, nowMs: number): void {
    this.turnOver(nowMs)
    this.own += tokens
  }

  setOthers(tokens: number, nowMs: number): void {
    this.turnOver(nowMs)
    this.others = tokens
  }

  /** Seconds until it begins anew. */
  resetS(nowMs: number): number {
    const now = new Date(nowMs)
    const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
    const next = this.length === 'day' ? Date.UTC(year, month, day + 1) : Date.UTC(year, month + 1, 1)
    return (next - nowMs) / 1000
  }

  private turnOver(nowMs: number): void {
    const period = new Date(nowMs).toISOString().slice(0, this.length === 'day' ? 10 : 7)
    if (period === this.period) return
    this.period = period
    this.own = 0
    this.others = 0
  }
}

export interface MeterClock {
  /** Seconds, monotonic. */
  seconds(): number
  /** Milliseconds since the epoch. */
  now(): number
}

export interface TokensUsed {
  day: number
  month: number
}

export class KeyMeter {
  private readonly clock: MeterClock
  private limits: KeyLimits
  private requests: Rate | null = null
  private tokens: Rate | null = null
  private readonly day = new Quota('day')
  private readonly month = new Quota('month')

  constructor(limits: KeyLimits, clock: MeterClock) {
    this.clock = clock
    this.limits = limits
    this.change(limits)
  }

  change(limits: KeyLimits): void {
    this.limits = limits
    const nowS = this.clock.seconds()
    this.requests = changed(this.requests, limits.requestsPerMinute, nowS)
    this.tokens = changed(this.tokens, limits.tokensPerMinute, nowS)
  }

  /**
   * A request more.
   * @param underWay answers of this key now
   * @throws HolonError rate_limit_exceeded, insufficient_quota: with the headers that say what is left
   */
  begin(name: string, underWay: number): void {
    const nowS = this.clock.seconds()
    const { concurrency } = this.limits
    if (concurrency !== null && underWay >= concurrency) {
      throw this.refusal(
        `The key "${name}" has ${underWay} answers under way, and may have ${concurrency}.`,
        1,
      )
    }
    if (this.requests !== null && this.requests.available(nowS) < 1) {
      const { limit } = this.requests
      throw this.refusal(`The key "${name}" may send ${limit} requests a minute.`, this.requests.waitS(1))
    }
    if (this.tokens !== null && this.tokens.available(nowS) <= 0) {
      const { limit } = this.tokens
      throw this.refusal(`The key "${name}" may use ${limit} tokens a minute.`, this.tokens.waitS(1))
    }
    this.requireQuota(name, 'day', this.day, this.limits.tokensPerDay)
    this.requireQuota(name, 'month', this.month, this.limits.tokensPerMonth)
    this.requests?.take(1)
  }

  /** An answer has ended and has cost so many tokens, read and generated. */
  charge(tokens: number): void {
    const nowMs = this.clock.now()
    this.tokens?.available(this.clock.seconds())
    this.tokens?.take(tokens)
    this.day.add(tokens, nowMs)
    this.month.add(tokens, nowMs)
  }

  setUsedElsewhere(used: TokensUsed): void {
    const nowMs = this.clock.now()
    this.day.setOthers(used.day, nowMs)
    this.month.setOthers(used.month, nowMs)
  }

  used(): TokensUsed {
    const nowMs = this.clock.now()
    return { day: this.day.used(nowMs), month: this.month.used(nowMs) }
  }

  /** As OpenAI names them. */
  tell(headers: Record<string, string | number>): void {
    const nowS = this.clock.seconds()
    tellRate(headers, 'requests', this.requests, nowS)
    tellRate(headers, 'tokens', this.tokens, nowS)
  }

  private requireQuota(name: string, period: string, quota: Quota, limit: number | null): void {
    if (limit === null) return
    const nowMs = this.clock.now()
    const used = quota.used(nowMs)
    if (used < limit) return
    throw new HolonError(
      'insufficient_quota',
      `The key "${name}" has used ${used} of its ${limit} tokens of this ${period} (UTC).`,
      { retryAfterS: quota.resetS(nowMs), headers: this.headers() },
    )
  }

  private refusal(message: string, retryAfterS: number): HolonError {
    return new HolonError('rate_limit_exceeded', message, { retryAfterS, headers: this.headers() })
  }

  private headers(): Record<string, string | number> {
    const headers: Record<string, string | number> = {}
    this.tell(headers)
    return headers
  }
}

function changed(rate: Rate | null, perMinute: number | null, nowS: number): Rate | null {
  if (perMinute === null) return null
  if (rate === null) return new Rate(perMinute, nowS)
  if (rate.limit !== perMinute) rate.change(perMinute, nowS)
  return rate
}

function tellRate(
  headers: Record<string, string | number>,
  what: string,
  rate: Rate | null,
  nowS: number,
): void {
  if (rate === null) return
  const available = rate.available(nowS)
  headers[`x-ratelimit-limit-${what}`] = rate.limit
  headers[`x-ratelimit-remaining-${what}`] = Math.max(0, Math.floor(available))
  headers[`x-ratelimit-reset-${what}`] = duration(rate.waitS(rate.limit))
}

/** As OpenAI writes them: `350ms`, `12s`, `1m4s`. */
function duration(seconds: number): string {
  if (seconds < 1) return `${Math.ceil(seconds * 1000)}ms`
  const whole = Math.ceil(seconds)
  return whole < minuteS ? `${whole}s` : `${Math.floor(whole / minuteS)}m${whole % minuteS}s`
}
