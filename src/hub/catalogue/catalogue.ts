/**
 * What the hub offers. Open, the default on one's own machines: whatever its nodes advertise. Curated: what the owner
 * has put on the list, and a model routes only when it is offered and advertised. The list outlives the hub; while
 * it cannot be read although it may be curated, nothing is offered rather than everything.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { parseModelName } from '../../planner/names/index.ts'
import type { Lane } from '../../protocol/lane.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { Edition, Placement } from './edition.ts'
import { type Bar, findWanted } from './find-wanted.ts'
import { FleetIndex } from './fleet-index.ts'
import { OwnerRules } from './owner-rules.ts'
import { PlacementRules, type Rule } from './placement-rules.ts'

export type CatalogueMode = 'open' | 'curated'

/** `model`: a canonical name, all its variants. `id`: one advertised id alone. */
export interface Offer {
  kind: 'model' | 'id'
  name: string
}

export interface CatalogueState {
  mode: CatalogueMode
  offers: readonly Offer[]
  rules: readonly Rule[]
}

/** A placement that may serve a request, with what the owner's rules say of it. */
export interface Held {
  readonly placement: Placement
  readonly background: boolean
  /** Offered to the request's lane by name. */
  readonly own: boolean
}

/** The same object until something about it changes, so that others can keep by it what they worked out. */
export interface Found {
  readonly held: readonly Held[]
}

export interface CatalogueBook {
  /** `no` when nothing was ever curated or pinned, so that there is nothing to read; `perhaps` when only the list can tell. */
  curated(): Promise<'no' | 'perhaps' | 'yes'>
  /** @throws HolonError store_unavailable */
  read(): Promise<CatalogueState>
  /** @throws HolonError store_unavailable, and then nothing has changed */
  write(state: CatalogueState): Promise<void>
}

export interface CatalogueOptions {
  nodes: readonly NodeHandle[]
  book: CatalogueBook
  log: Log
  clock: Clock
  /** Told of every change, for the audit. */
  onChange?: (type: string, data: Record<string, unknown>) => void
}

const maxOffers = 10_000
/** Names that were asked for and what they mean now; all are forgotten beyond this many. */
const maxKept = 4_000
const maxName = 300
const retryMs = 5_000

export class Catalogue {
  readonly index: FleetIndex
  /** Pins and lanes. */
  readonly owner: OwnerRules
  private readonly options: CatalogueOptions
  private state: CatalogueState = { mode: 'open', offers: [], rules: [] }
  /** A pool stands for these, however it stands itself: not the owner's word, and kept nowhere. */
  private poolRules: readonly Rule[] = []
  private rulesNow = new PlacementRules([])
  private readonly kept = new Map<string, Found>()
  private keptVersion = -1
  /** Set while a list that is known to be curated has not been read. */
  private unreadable: HolonError | null = null
  /** Set while there may be a list that has not been read: a change would be written over it. */
  private unread: HolonError | null = null
  private models = new Set<string>()
  private ids = new Set<string>()
  private stopRetry: (() => void) | null = null
  private writing: Promise<unknown> = Promise.resolve()
  private closed = false

  constructor(options: CatalogueOptions) {
    this.options = options
    this.index = new FleetIndex(options.nodes)
    this.owner = new OwnerRules(this.index, {
      now: () => this.state.rules,
      nameOf: (asked) => this.toOffer(asked).name,
      change: (type, data, next) =>
        this.change(type, data, (state) => {
          const rules = next(state.rules)
          return rules === state.rules ? state : { ...state, rules }
        }),
    })
  }

  get mode(): CatalogueMode {
    return this.state.mode
  }

  get offers(): readonly Offer[] {
    return this.state.offers
  }

  get rules(): readonly Rule[] {
    return this.state.rules
  }

  /**
   * Reads the list when the hub starts, and tries again by itself while it cannot. Never throws. A list that is known
   * to be curated and cannot be read offers nothing; one of which nothing is known does not stop an open hub.
   */
  async load(): Promise<void> {
    const { book, log } = this.options
    const curated = await book.curated()
    try {
      if (curated !== 'no') this.take(await book.read())
      this.unreadable = null
      this.unread = null
    } catch (cause) {
      const message = 'The list of offered models cannot be read.'
      const error = new HolonError('store_unavailable', message, { cause, retryAfterS: retryMs / 1000 })
      this.unread = error
      this.unreadable = curated === 'yes' ? error : null
      log.warn({ error: cause }, 'the list of offered models cannot be read; trying again')
      if (this.closed) return
      this.stopRetry = this.options.clock.after(retryMs, () => {
        void this.load()
      })
    }
  }

  close(): void {
    this.closed = true
    this.stopRetry?.()
  }

  isOffered(edition: Edition): boolean {
    if (this.unreadable !== null) return false
    if (this.state.mode === 'open') return true
    return this.models.has(edition.identity.canonical) || this.ids.has(edition.id)
  }

  /** The lanes a placement was offered to by name; null when it serves on all. */
  lanesOf({ edition, node }: Placement): readonly Lane[] | null {
    return this.rulesNow.lanesOf(edition, node)
  }

  /**
   * Where what was asked for is, and may serve on this lane.
   * @param lane null for those who manage the hub: also what is not offered, whatever the rules say
   * @throws HolonError model_not_found, model_file_invalid, invalid_parameter, engine_unavailable, store_unavailable
   */
  find(asked: string, lane: Lane | null): Found {
    if (this.unreadable !== null && lane !== null) throw this.unreadable
    return this.keep(`${lane ?? ''}\n${asked}`, () => {
      const bar = lane === null ? () => null : this.barOn(lane)
      return findWanted(asked, this.index, bar).map((placement) => this.hold(placement, lane))
    })
  }

  /** Everything that may serve on this lane, embedding models too. @throws HolonError store_unavailable */
  offeredOn(lane: Lane): Found {
    if (this.unreadable !== null) throw this.unreadable
    return this.keep(lane, () => {
      const bar = this.barOn(lane)
      const all = [...this.index.all()].flatMap((edition) => edition.holders)
      return all
        .filter((placement) => placement.model.problem === null && bar(placement) === null)
        .map((placement) => this.hold(placement, lane))
    })
  }

  private barOn(lane: Lane): Bar {
    return (placement) =>
      this.isOffered(placement.edition) ? this.rulesNow.standing(placement, lane).barred : 'offer'
  }

  private hold(placement: Placement, lane: Lane | null): Held {
    if (lane === null) return { placement, background: false, own: false }
    const { background, own } = this.rulesNow.standing(placement, lane)
    return { placement, background, own }
  }

  private keep(key: string, make: () => Held[]): Found {
    const { index, kept } = this
    index.refresh()
    if (this.keptVersion !== index.version) {
      kept.clear()
      this.keptVersion = index.version
    }
    let found = kept.get(key)
    if (found === undefined) {
      found = { held: make() }
      if (kept.size >= maxKept) kept.clear()
      kept.set(key, found)
    }
    return found
  }

  /**
   * Open to curated keeps an earlier list; without one, what is advertised now is offered, so that nothing breaks.
   * @throws HolonError store_unavailable
   */
  setMode(mode: CatalogueMode): Promise<void> {
    return this.change('catalogue.mode', { mode }, (state) => {
      if (mode === 'open' || state.offers.length > 0) return { ...state, mode }
      this.index.refresh()
      return { ...state, mode, offers: [...this.index.names()].map((name) => ({ kind: 'model', name })) }
    })
  }

  /**
   * Puts a model on the list: all variants of a model, or one advertised id when `asked` is exactly that.
   * @throws HolonError usage while the catalogue is open; invalid_parameter; store_unavailable
   */
  async offer(asked: string): Promise<Offer> {
    this.requireCurated()
    const offer = this.toOffer(asked)
    await this.change('catalogue.offered', { ...offer }, (state) => {
      if (state.offers.some((other) => sameOffer(other, offer))) return state
      if (state.offers.length >= maxOffers)
        throw new HolonError('usage', `At most ${maxOffers} models can be offered.`)
      return { ...state, offers: [...state.offers, offer] }
    })
    return offer
  }

  /**
   * Takes a model off the list, and with a model its single variants. What is being answered ends undisturbed.
   * @throws HolonError usage while the catalogue is open; model_not_found when it is not offered; store_unavailable
   */
  async withdraw(asked: string): Promise<Offer[]> {
    this.requireCurated()
    const gone = this.offersMeant(asked)
    if (gone.length === 0) {
      const { canonical } = parseModelName(this.toOffer(asked).name)
      const part = this.models.has(canonical) ? canonical : this.canonicalOfId(asked)
      const hint =
        part !== null && this.models.has(part)
          ? `It is a variant of "${part}", which is offered whole: withdraw that, then offer the other variants.`
          : '`holon models` shows what is offered.'
      throw new HolonError(
        'model_not_found',
        `"${asked.slice(0, 200)}" is not on the list of offered models.`,
        { hint },
      )
    }
    await this.change('catalogue.withdrawn', { offers: gone }, (state) => ({
      ...state,
      offers: state.offers.filter((offer) => !gone.some((other) => sameOffer(offer, other))),
    }))
    return gone
  }

  private offersMeant(asked: string): Offer[] {
    const exact = this.state.offers.filter((offer) => offer.name === asked)
    if (exact.some((offer) => offer.kind === 'id')) return exact
    const meant = this.toOffer(asked)
    return this.state.offers.filter(
      (offer) =>
        sameOffer(offer, meant) ||
        (meant.kind === 'model' && offer.kind === 'id' && this.canonicalOfId(offer.name) === meant.name),
    )
  }

  private canonicalOfId(id: string): string | null {
    this.index.refresh()
    return this.index.byId(id)[0]?.identity.canonical ?? null
  }

  private toOffer(asked: string): Offer {
    const name = asked.trim()
    if (name === '' || name.length > maxName || name.includes('@')) {
      throw new HolonError('invalid_parameter', `"${name.slice(0, 60)}" is no name that can be offered.`, {
        param: 'model',
        hint: 'Name a model (`qwen2.5-7b-instruct`) or an id as its node advertises it.',
      })
    }
    const advertised = this.canonicalOfId(name)
    if (advertised !== null) {
      return advertised === name.toLowerCase() ? { kind: 'model', name: advertised } : { kind: 'id', name }
    }
    const { canonical, quant, empty } = parseModelName(name)
    // A quant was named that nobody advertises yet: one variant was meant, not all of them.
    return quant !== null || empty ? { kind: 'id', name } : { kind: 'model', name: canonical }
  }

  private requireCurated(): void {
    if (this.unreadable !== null) throw this.unreadable
    if (this.state.mode === 'curated') return
    throw new HolonError('usage', 'The catalogue is open: whatever the nodes advertise is offered.', {
      hint: 'Run `holon models catalogue curated` first to choose what is offered.',
    })
  }

  /** One change after the other, written before it takes effect. */
  private change(
    type: string,
    data: Record<string, unknown>,
    next: (state: CatalogueState) => CatalogueState,
  ): Promise<void> {
    const run = this.writing.then(async () => {
      if (this.unread !== null) throw this.unread
      const state = next(this.state)
      if (state === this.state) return
      await this.options.book.write(state)
      this.take(state)
      this.options.onChange?.(type, data)
    })
    this.writing = run.catch(() => undefined)
    return run
  }

  private take(state: CatalogueState): void {
    this.state = state
    this.models = new Set(state.offers.filter(({ kind }) => kind === 'model').map(({ name }) => name))
    this.ids = new Set(state.offers.filter(({ kind }) => kind === 'id').map(({ name }) => name))
    this.applyRules()
  }

  /** Placements that are reached through a pool alone. */
  leaveToPools(placements: readonly { model: string; node: string }[]): void {
    this.poolRules = placements.map(({ model, node }) => ({ kind: 'away', subject: model, object: node }))
    this.applyRules()
  }

  private applyRules(): void {
    this.rulesNow = new PlacementRules([...this.state.rules, ...this.poolRules])
    this.kept.clear()
  }
}

const sameOffer = (a: Offer, b: Offer): boolean => a.kind === b.kind && a.name === b.name
