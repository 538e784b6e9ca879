/**
 * All keys in memory, found by the hash of their secret. The books are behind it: what changes there, here or at another
 * hub, is taken over as a whole, and a key that is revoked ends its answers that moment.
 */
import { HolonError } from '../../core/errors.ts'
import { Roster, type Seat } from '../../core/roster.ts'
import type { Lane } from '../../protocol/lane.ts'
import type { KeyRecord } from '../store/key-book.ts'
import type { Caller, Guest } from './caller.ts'
import { KeyMeter, type MeterClock, type TokensUsed } from './key-meter.ts'
import { ModelScope } from './model-scope.ts'

export class Key implements Caller {
  readonly id: string
  readonly keyId: string
  readonly meter: KeyMeter
  models: ModelScope | null = null
  private readonly clock: MeterClock
  private readonly guests = new Roster<Guest>()
  private readonly attending = new Roster<() => void>()
  private current: KeyRecord

  constructor(record: KeyRecord, clock: MeterClock) {
    this.id = record.id
    this.keyId = record.id
    this.clock = clock
    this.current = record
    this.meter = new KeyMeter(record.limits, clock)
    this.models = record.models === null ? null : new ModelScope(record.models)
  }

  get record(): KeyRecord {
    return this.current
  }

  get name(): string {
    return this.current.label
  }

  get admin(): boolean {
    return this.current.admin
  }

  get lanes(): readonly Lane[] {
    return this.current.lanes
  }

  get underWay(): number {
    return this.guests.size
  }

  get expired(): boolean {
    const { expiresMs } = this.current
    return expiresMs !== null && this.clock.now() >= expiresMs
  }

  /** Revoked, or expired: why it is good for nothing any more; null while it is good. */
  problem(): HolonError | null {
    if (this.current.revokedMs !== null) return refused(`The API key "${this.name}" was revoked.`)
    return this.expired ? refused(`The API key "${this.name}" has expired.`) : null
  }

  /** What the books say now. @returns answers that were ended because it is good for nothing any more */
  change(record: KeyRecord): number {
    // The scope stays the same object while it says the same: others keep by it what they worked out.
    if (JSON.stringify(record.models) !== JSON.stringify(this.current.models)) {
      this.models = record.models === null ? null : new ModelScope(record.models)
    }
    this.current = record
    this.meter.change(record.limits)
    const problem = this.problem()
    return problem === null ? 0 : this.endAll(problem)
  }

  begin(guest: Guest): Seat<Guest> {
    const problem = this.problem()
    if (problem !== null) throw problem
    if (!this.lanes.includes(guest.lane)) {
      throw new HolonError(
        'key_not_allowed',
        `The key "${this.name}" may not use the lane "${guest.lane}".`,
        {
          hint: `It may use ${this.lanes.join(', ')}: send that as x-holon-lane.`,
        },
      )
    }
    this.meter.begin(this.name, this.guests.size)
    return this.guests.enter(guest)
  }

  end(seat: Seat<Guest>): void {
    this.guests.leave(seat)
  }

  attend(onRefused: () => void): Seat<() => void> {
    return this.attending.enter(onRefused)
  }

  leave(seat: Seat<() => void>): void {
    this.attending.leave(seat)
  }

  tellLimits(headers: Record<string, string | number>): void {
    this.meter.tell(headers)
  }

  endAll(error: HolonError): number {
    const seated = this.guests.seated()
    for (const seat of seated) if (seat.at >= 0) seat.who.cut(error)
    for (const seat of this.attending.seated()) seat.who()
    return seated.length
  }
}

export class Keyring {
  private readonly clock: MeterClock
  private byHash = new Map<string, Key>()
  private readonly byId = new Map<string, Key>()

  constructor(clock: MeterClock) {
    this.clock = clock
  }

  /** Also revoked and expired ones: where keys were ever made, nobody is let in without one. */
  get size(): number {
    return this.byId.size
  }

  /** Keys that open something now. */
  get active(): number {
    let active = 0
    for (const key of this.byId.values()) if (key.problem() === null) active++
    return active
  }

  all(): Key[] {
    return [...this.byId.values()]
  }

  get(id: string): Key | undefined {
    return this.byId.get(id)
  }

  /** How long the look-up takes tells of the hash at most, and nobody can choose a secret by its hash. */
  withHash(hash: string): Key | undefined {
    return this.byHash.get(hash)
  }

  /** By id, else by label when only one good key has it. @throws HolonError not_found, invalid_parameter */
  named(idOrLabel: string): Key {
    const key = this.byId.get(idOrLabel)
    if (key) return key
    const labelled = this.all().filter(({ name }) => name === idOrLabel)
    const good = labelled.filter((each) => each.problem() === null)
    const meant = good.length > 0 ? good : labelled
    if (meant.length === 1) return meant[0]!
    const shown = idOrLabel.slice(0, 100)
    if (meant.length === 0) {
      throw new HolonError('not_found', `There is no key "${shown}".`, { hint: '`holon keys` lists them.' })
    }
    throw new HolonError('invalid_parameter', `${meant.length} keys are labelled "${shown}".`, {
      param: 'key',
      hint: `Name one by its id: ${meant.map(({ id }) => id).join(', ')}.`,
    })
  }

  /** What the books say of all keys. */
  replace(records: readonly KeyRecord[]): void {
    const here = new Set(records.map(({ id }) => id))
    for (const key of this.all()) {
      if (here.has(key.id)) continue
      this.byId.delete(key.id)
      key.endAll(refused(`The API key "${key.name}" was removed.`))
    }
    for (const record of records) this.put(record)
    this.byHash = new Map(this.all().map((key) => [key.record.hash, key]))
  }

  /** One key as the books have it now. @returns answers that were ended */
  put(record: KeyRecord): number {
    const known = this.byId.get(record.id)
    if (known) return known.change(record)
    const key = new Key(record, this.clock)
    this.byId.set(record.id, key)
    this.byHash.set(record.hash, key)
    return 0
  }

  remove(id: string): void {
    const key = this.byId.get(id)
    if (!key) return
    this.byId.delete(id)
    this.byHash.delete(key.record.hash)
  }

  /** What the keys used elsewhere and before, of this day and month; 0 for those not named. */
  setUsedElsewhere(used: ReadonlyMap<string, TokensUsed>): void {
    for (const key of this.byId.values()) {
      key.meter.setUsedElsewhere(used.get(key.id) ?? { day: 0, month: 0 })
    }
  }
}

function refused(message: string): HolonError {
  return new HolonError('invalid_api_key', message, { hint: 'Ask the owner of the hub for another.' })
}
