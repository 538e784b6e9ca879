/** All pools of a hub: wished for, kept in the books, formed by the controller, and told who of their members is there. */
import { asHolonError, HolonError } from '../../core/errors.ts'
import { PoolController } from '../../pool/controller/controller.ts'
import type { PoolEffects, PoolWish } from '../../pool/controller/effects.ts'
import { poolEngine } from '../../pool/index.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { PoolView } from '../../protocol/pools.ts'
import { LivePool } from './live-pool.ts'
import type { PoolsOptions } from './pools-options.ts'
import { SpeedBook } from './speed-book.ts'

interface Waiting {
  resolve(): void
  reject(error: HolonError): void
}

const pinEveryMs = 30_000
const linksEveryMs = 5 * 60_000
const closeWithinMs = 5_000

export class Pools {
  readonly options: PoolsOptions
  private readonly controller: PoolController
  private readonly live = new Map<string, LivePool>()
  private readonly speeds = new SpeedBook()
  private readonly waiting = new Map<number, Waiting>()
  /** Ids of the nodes that were there last. */
  private readonly here = new Set<string>()
  private tickets = 0
  private readonly stops: (() => void)[] = []
  private stopPins: (() => void) | null = null
  private stopLinks: (() => void) | null = null
  private closed = false
  /** Settled when the pools of before are known. */
  private restored: Promise<void> = Promise.resolve()

  constructor(options: PoolsOptions) {
    this.options = options
    this.controller = new PoolController(this.effects(), options.clock, options.policy)
  }

  /** Forms again what an earlier life of the hub was asked for. Never throws. */
  async start(): Promise<void> {
    const { fleet } = this.options
    this.stops.push(fleet.subscribe((node) => (node === undefined ? this.watchList() : this.watchNode(node))))
    this.watchList()
    this.watchPins()
    this.watchLinks()
    this.restored = this.restore()
    await this.restored
  }

  private async restore(): Promise<void> {
    const { book, log } = this.options
    try {
      for (const wish of await book.all()) {
        if (this.closed || this.live.has(wish.name)) continue
        this.add(wish)
        this.controller.onRestore(wish)
      }
    } catch (thrown) {
      log.warn({}, `the pools of before are not known: ${asHolonError(thrown).message}`)
    }
  }

  /** Resolves when its members were looked at and the wish is kept. @throws HolonError pool_impossible, store_unavailable */
  async create(wish: PoolWish): Promise<void> {
    await this.restored
    poolEngine(wish.engine, this.options.engines)
    this.refuseTaken(wish.name)
    this.add(wish)
    try {
      await this.ticket((ticket) => this.controller.onCreate(ticket, wish))
    } catch (error) {
      if (this.controller.standing(wish.name) === null) this.drop(wish.name)
      throw error
    }
    try {
      await this.options.book.add(wish, this.options.clock.now())
    } catch (error) {
      await this.ticket((ticket) => this.controller.onRemove(ticket, wish.name))
      this.drop(wish.name)
      throw error
    }
    this.options.onEvent('pool.created', { pool: wish.name, model: wish.model, members: wish.members })
  }

  /** Resolves when every part of it has ended. @throws HolonError pool_not_found, store_unavailable */
  async remove(name: string): Promise<void> {
    if (this.controller.standing(name) === null)
      throw new HolonError('pool_not_found', `There is no pool called ${name}.`)
    await this.options.book.remove(name)
    await this.ticket((ticket) => this.controller.onRemove(ticket, name))
    this.drop(name)
    this.options.onEvent('pool.removed', { pool: name })
  }

  /** @throws HolonError pool_not_found */
  retry(name: string): void {
    this.controller.onRetry(name)
  }

  async views(): Promise<PoolView[]> {
    await this.restored
    return this.controller.standings().flatMap(({ wish }) => this.live.get(wish.name)?.view() ?? [])
  }

  /** Ends every group, in bounded time. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    for (const stop of this.stops) stop()
    this.stopPins?.()
    this.stopLinks?.()
    this.controller.onClose()
    // What does not confirm its end by then ends with its stream.
    const end = performance.now() + closeWithinMs
    while (this.controller.size > 0 && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, 10))
    for (const name of [...this.live.keys()]) this.drop(name)
  }

  /** @throws HolonError pool_impossible when there is a pool of that name */
  refuseTaken(name: string): void {
    if (!this.live.has(name)) return
    throw new HolonError('pool_impossible', `There is a pool called ${name} already.`, {
      hint: `Choose another name, or remove it first: \`holon pool remove ${name}\`.`,
    })
  }

  private ticket(ask: (ticket: number) => void): Promise<void> {
    const ticket = ++this.tickets
    return new Promise<void>((resolve, reject) => {
      this.waiting.set(ticket, { resolve, reject })
      try {
        ask(ticket)
      } catch (error) {
        this.waiting.delete(ticket)
        reject(error as Error)
      }
    })
  }

  private settle(ticket: number, error?: HolonError): void {
    const waiting = this.waiting.get(ticket)
    this.waiting.delete(ticket)
    if (error) waiting?.reject(error)
    else waiting?.resolve()
  }

  private add(wish: PoolWish): void {
    const { controller, speeds } = this
    const named = () => this.standForClusters()
    this.live.set(wish.name, new LivePool({ wish, controller, speeds, named, ...this.options }))
    this.standForClusters()
  }

  private drop(name: string): void {
    this.live.get(name)?.leave()
    this.live.delete(name)
    this.standForClusters()
  }

  /** Past its pool a cluster would be asked unwatched, and exo would place the model a second time. */
  private standForClusters(): void {
    this.options.catalogue.leaveToPools([...this.live.values()].flatMap((pool) => pool.standsFor()))
  }

  private effects(): PoolEffects {
    const of = (name: string) => this.live.get(name)
    return {
      check: (name, attempt, members) => void of(name)?.check(attempt, members),
      open: (name, attempt, rank) => of(name)?.open(attempt, rank),
      start: (name, attempt, rank) => of(name)?.launchOf(attempt)?.start(rank),
      stop: (name, attempt, rank) => {
        const launch = of(name)?.launchOf(attempt)
        if (launch) launch.stop(rank)
        else queueMicrotask(() => this.controller.onStopped(name, attempt, rank))
      },
      accepted: (ticket) => this.settle(ticket),
      refused: (ticket, error) => this.settle(ticket, error),
      removed: (ticket) => this.settle(ticket),
      changed: (name) => {
        of(name)?.changed()
      },
      nameOf: (node) => this.options.fleet.nodes.find(({ id }) => id === node)?.name ?? node,
      log: (level, fields, message) => this.options.log[level](fields, message),
    }
  }

  private watchList(): void {
    const seen = new Set<string>()
    for (const node of this.options.fleet.nodes) {
      seen.add(node.id)
      this.watchNode(node)
    }
    for (const id of [...this.here]) if (!seen.has(id)) this.tellGone(id)
  }

  /** A node that is suspect for a moment is not gone; one that comes back counts when it is trusted again. */
  private watchNode(node: NodeHandle): void {
    if (node.pool === undefined) return
    const { state } = node.state()
    if (state === 'ready') this.tell(node, true)
    else if (state === 'gone') this.tell(node, false)
  }

  private tell(node: NodeHandle, here: boolean): void {
    if (this.here.has(node.id) === here) return
    if (here) this.here.add(node.id)
    else this.here.delete(node.id)
    this.controller.onNode(node.id, here)
  }

  private tellGone(id: string): void {
    this.here.delete(id)
    this.options.links.forget(id)
    this.controller.onNode(id, false)
  }

  private watchPins(): void {
    this.stopPins = this.options.clock.after(pinEveryMs, () => {
      for (const pool of this.live.values()) pool.choose()
      if (!this.closed) this.watchPins()
    })
  }

  private watchLinks(): void {
    this.stopLinks = this.options.clock.after(linksEveryMs, () => {
      const looks = [...this.live.values()].map((pool) => pool.refreshLinks())
      void Promise.allSettled(looks).then(() => {
        if (!this.closed) this.watchLinks()
      })
    })
  }
}
