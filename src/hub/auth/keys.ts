/**
 * Who may come in. On this machine alone everybody may, until there is a key or HOLON_API_KEY; from then on, and always on
 * a network, only keys may. Keys live in memory, so that no request waits for the books; the books are behind them.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Log } from '../../core/log.ts'
import type { KeyLimits } from '../../protocol/keys.ts'
import type { Lane } from '../../protocol/lane.ts'
import type { KeyBook, KeyRecord } from '../store/key-book.ts'
import { type Caller, owner } from './caller.ts'
import { ExpiryWatch } from './expiry-watch.ts'
import { type Key, Keyring } from './keyring.ts'
import { Patience } from './patience.ts'
import { hashOf, newSecret } from './secrets.ts'

export interface KeysOptions {
  book: KeyBook
  clock: Clock
  log: Log
  /** Whether the hub listens to this machine alone. */
  loopback: boolean
  /** HOLON_API_KEY and what else is the owner's. */
  ownerSecrets: readonly string[]
  /** Whether those close the doors, as HOLON_API_KEY does and the secret of this machine's own commands does not. */
  closed: boolean
}

export interface KeyWish {
  label: string
  models: readonly string[] | null
  lanes: readonly Lane[]
  admin: boolean
  expiresInS: number | null
  limits: KeyLimits
}

const maxKeys = 10_000
const retryMs = 2_000
const countAgainMs = 30_000
const hintLength = 9
const longestSecret = 512
const inQuery = /[?&](?:api[-_]?key|key|access_token|token)=/i

export class Keys {
  readonly ring: Keyring
  private readonly options: KeysOptions
  private readonly ownerHashes: ReadonlySet<string>
  private readonly expiry: ExpiryWatch
  private readonly patience = new Patience({ burst: 60, perSecond: 1 })
  /** Set while there may be keys and they have not been read. */
  private unreadable: HolonError | null = null
  private stopTimer: (() => void) | null = null
  private stopCounting: (() => void) | null = null
  private ended = false

  constructor(options: KeysOptions) {
    const { clock, ownerSecrets } = options
    this.options = options
    this.ring = new Keyring({ seconds: () => performance.now() / 1000, now: () => clock.now() })
    this.expiry = new ExpiryWatch(() => this.ring.all(), clock)
    this.ownerHashes = new Set(ownerSecrets.map(hashOf))
  }

  /** True when nobody is let in without a key. */
  get closed(): boolean {
    const { loopback, closed } = this.options
    return closed || !loopback || this.ring.size > 0 || this.unreadable !== null
  }

  /** Whether anybody can come in at all, or may be able to once the books can be read. */
  get passable(): boolean {
    return this.options.closed || this.ring.active > 0 || this.unreadable !== null
  }

  /** Reads the books, and goes on trying by itself while it cannot. Never throws. */
  async load(): Promise<void> {
    const { book, log, clock } = this.options
    if (!(await book.mayHaveKeys())) return
    try {
      await this.reload()
    } catch (cause) {
      if (this.unreadable === null) log.warn({ error: cause }, 'the keys cannot be read; trying again')
      this.unreadable = new HolonError('store_unavailable', 'The keys cannot be read now.', {
        cause,
        retryAfterS: retryMs / 1000,
      })
      if (this.ended) return
      this.stopTimer = clock.after(retryMs, () => {
        void this.load()
      })
    }
  }

  /** Takes over what the books say: somebody changed them. @throws HolonError store_unavailable */
  async reload(): Promise<void> {
    this.ring.replace(await this.options.book.all())
    if (!this.ended) this.expiry.look()
    if (this.stopCounting === null) await this.count()
    this.unreadable = null
  }

  close(): void {
    this.ended = true
    this.stopTimer?.()
    this.stopCounting?.()
    this.expiry.close()
  }

  /**
   * Who sends this request.
   * @throws HolonError invalid_api_key, rate_limit_exceeded (too many wrong ones), store_unavailable
   */
  identify(req: IncomingMessage): Caller {
    const secret = secretIn(req.headers)
    if (secret === null) {
      if (this.closed) throw noKey(req.url ?? '')
      return owner
    }
    const caller = this.callerWith(secret)
    if (caller !== null) return caller
    // Clients that must be given some key are given any.
    if (!this.closed) return owner
    throw this.wrongKey(req)
  }

  /** Null when nobody has this secret. @throws HolonError invalid_api_key for one that is good no more */
  callerWith(secret: string): Caller | null {
    if (secret.length > longestSecret) return null
    const hash = hashOf(secret)
    if (this.ownerHashes.has(hash)) return owner
    const key = this.ring.withHash(hash)
    if (key === undefined) return null
    const problem = key.problem()
    if (problem !== null) throw problem
    return key
  }

  /** Whether this secret opens the management API. */
  isAdmin(secret: string): boolean {
    try {
      return this.callerWith(secret)?.admin ?? false
    } catch {
      return false
    }
  }

  /** An answer has ended: its tokens count against the key's limits. */
  charge(keyId: string, tokens: number): void {
    this.ring.get(keyId)?.meter.charge(tokens)
  }

  /** @returns the secret, which nobody can show again */
  async create(wish: KeyWish, actor: string): Promise<{ secret: string; key: Key }> {
    if (this.ring.size >= maxKeys) {
      throw new HolonError('usage', `There are ${maxKeys} keys, which is as many as there may be.`, {
        hint: 'Forget revoked ones with `holon keys forget KEY`.',
      })
    }
    const { book, clock, log } = this.options
    const secret = newSecret('hk')
    const nowMs = clock.now()
    const record: KeyRecord = {
      id: newId('key', 10),
      hash: hashOf(secret),
      hint: secret.slice(0, hintLength),
      label: wish.label,
      models: wish.models,
      lanes: wish.lanes,
      admin: wish.admin,
      limits: wish.limits,
      createdBy: actor,
      createdMs: nowMs,
      expiresMs: wish.expiresInS === null ? null : nowMs + wish.expiresInS * 1000,
      revokedMs: null,
      revokedBy: null,
    }
    await book.add(record, actor)
    this.ring.put(record)
    if (!this.ended) this.expiry.look()
    log.info({ key: record.id, label: record.label, by: actor }, 'Key created.')
    if (this.stopCounting === null) await this.count()
    return { secret, key: this.ring.get(record.id)! }
  }

  /** Here at once, and in the books; answers under way end. @throws HolonError not_found, usage, store_unavailable */
  async revoke(idOrLabel: string, actor: string): Promise<{ key: Key; ended: number }> {
    const { book, clock, log } = this.options
    const key = this.ring.named(idOrLabel)
    const { record } = key
    if (record.revokedMs !== null) {
      throw new HolonError('usage', `The key "${key.name}" was revoked before.`, { hint: '' })
    }
    const nowMs = clock.now()
    const ended = key.change({ ...record, revokedMs: nowMs, revokedBy: actor })
    try {
      await book.revoke(record.id, actor, nowMs)
    } catch (error) {
      // Not in the books is not revoked: it would be back after the next start, and at other hubs it never went.
      key.change(record)
      throw error
    }
    log.info({ key: record.id, by: actor, ended }, 'Key revoked.')
    return { key, ended }
  }

  /** Takes one that is good no more out of the books. @throws HolonError not_found, usage, store_unavailable */
  async forget(idOrLabel: string, actor: string): Promise<Key> {
    const key = this.ring.named(idOrLabel)
    if (key.problem() === null) {
      throw new HolonError('usage', `The key "${key.name}" is still good.`, {
        hint: `Revoke it first: \`holon keys revoke ${key.id}\`.`,
      })
    }
    await this.options.book.forget(key.id, actor, this.options.clock.now())
    this.ring.remove(key.id)
    return key
  }

  /** What keys with a quota used before this hub began to count, and at other hubs since. */
  private async count(): Promise<void> {
    const { book, clock, log } = this.options
    const limited = this.ring.all().some((key) => {
      const { tokensPerDay, tokensPerMonth } = key.record.limits
      return tokensPerDay !== null || tokensPerMonth !== null
    })
    if (!limited || this.ended) return
    this.stopCounting = () => undefined
    try {
      this.ring.setUsedElsewhere(await book.usedElsewhere(clock.now()))
    } catch (error) {
      log.warn({ error }, 'what keys have used of their quotas cannot be read; trying again')
    }
    if (this.ended) return
    this.stopCounting = clock.after(countAgainMs, () => {
      this.stopCounting = null
      void this.count()
    })
  }

  private wrongKey(req: IncomingMessage): HolonError {
    if (this.unreadable !== null) return this.unreadable
    try {
      this.patience.spend(req.socket.remoteAddress ?? 'unknown')
    } catch (thrown) {
      const { retryAfterS } = thrown as HolonError
      return new HolonError('rate_limit_exceeded', 'Too many wrong keys came from this address.', {
        retryAfterS,
      })
    }
    return refused('The API key is not known here.')
  }
}

function secretIn(headers: IncomingMessage['headers']): string | null {
  const { authorization } = headers
  if (authorization !== undefined) {
    const bearer = /^Bearer\s+(\S+)\s*$/i.exec(authorization)?.[1]
    if (bearer !== undefined) return bearer
  }
  const key = headers['x-api-key']
  return typeof key === 'string' && key !== '' ? key : null
}

/** Addresses are kept in logs, histories and referrers: a key that stands in one is known to others. */
function noKey(url: string): HolonError {
  if (!inQuery.test(url)) return refused('An API key is needed.')
  return refused('A key in the address is not read, since addresses are written to logs.')
}

function refused(message: string): HolonError {
  return new HolonError('invalid_api_key', message, {
    headers: { 'www-authenticate': 'Bearer realm="holon"' },
  })
}
