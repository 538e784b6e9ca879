/**
 * What is known of the ways between machines. Members measure each other directly; the hub says who measures whom, one
 * pair at a time, not more often than useful, and anew when interfaces change: a pulled cable leaves an address behind.
 */
import { randomBytes } from 'node:crypto'
import type { Clock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { PairLink } from '../../pool/preview/question.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { LinkProbe, NetworkInterface } from '../../protocol/pool.ts'
import type { LinkView } from '../../protocol/pools.ts'
import { assumedLink, measuredLink } from './link-spec.ts'
import { linkWarnings } from './verdict.ts'
import { rdmaBetween, type Way, waysBetween } from './ways.ts'

/** A way measured within this time is not measured again by itself. Milliseconds. */
const freshMs = 60 * 60_000
/** On demand too, not more often than this. */
const leastMs = 5_000
const probeWithinMs = 60_000
const maxWays = 4

interface Entry {
  way: Way
  forth: LinkProbe | null
  back: LinkProbe | null
  failure: string | null
  atMs: number | null
}

interface Machine {
  handle: NodeHandle
  interfaces: readonly NetworkInterface[]
}

export class LinkBook {
  private readonly clock: Clock
  private readonly log: Log
  private readonly machines = new Map<string, Machine>()
  /** By pair of ids in order, best way first. */
  private readonly pairs = new Map<string, Entry[]>()
  private queue: Promise<void> = Promise.resolve()
  private readonly closed = new AbortController()

  constructor(clock: Clock, log: Log) {
    this.clock = clock
    this.log = log
  }

  /** A machine told its interfaces; what no longer holds is forgotten. */
  note(handle: NodeHandle, interfaces: readonly NetworkInterface[]): void {
    const known = this.machines.get(handle.id)
    if (known?.handle === handle && JSON.stringify(known.interfaces) === JSON.stringify(interfaces)) return
    this.machines.set(handle.id, { handle, interfaces })
    for (const other of this.machines.keys()) if (other !== handle.id) this.find(handle.id, other)
  }

  forget(id: string): void {
    this.machines.delete(id)
    for (const key of this.pairs.keys()) if (key.split('|').includes(id)) this.pairs.delete(key)
  }

  /** How two machines reach each other, for a plan: measured when it was, else what their interfaces let one expect. */
  between(a: string, b: string): PairLink {
    const [entry] = this.entries(a, b)
    if (!entry) return assumedLink(null)
    const views = this.viewsOf(a, b, entry)
    const link = measuredLink(views[0], views[1]) ?? assumedLink(entry.way)
    const { ends } = link
    return inOrder(a, b) || ends === null ? link : { ...link, ends: [ends[1], ends[0]] }
  }

  /**
   * The end of `to` by which `from` reaches it: a preferred way if there is one, else the best that works; null when no
   * network joins them.
   */
  address(
    from: string,
    to: string,
    prefer: (to: NetworkInterface, from: NetworkInterface) => boolean = () => false,
  ): NetworkInterface | null {
    const forward = inOrder(from, to)
    const ends = ({ way }: Entry) => (forward ? ([way.to, way.from] as const) : ([way.from, way.to] as const))
    const entries = this.entries(from, to)
    const preferred = entries.find((entry) => prefer(...ends(entry)))
    const chosen = preferred ?? entries.find(({ failure }) => failure === null) ?? entries[0]
    return chosen ? ends(chosen)[0] : null
  }

  links(): LinkView[] {
    const all: LinkView[] = []
    for (const [key, entries] of this.pairs) {
      const [a, b] = key.split('|') as [string, string]
      for (const entry of entries) all.push(...this.viewsOf(a, b, entry))
    }
    return all
  }

  /** Measures all pairs of some machines, one after the other. Fresh ones are left alone unless `anew`. Never rejects. */
  measure(ids: readonly string[], anew = false): Promise<void> {
    const pairs = ids.flatMap((a, at) => ids.slice(at + 1).map((b) => [a, b] as const))
    const run = this.queue.then(async () => {
      for (const [a, b] of pairs) {
        for (const entry of this.entries(a, b)) {
          if (this.closed.signal.aborted) return
          const age = entry.atMs === null ? Number.POSITIVE_INFINITY : this.clock.now() - entry.atMs
          if (age < (anew ? leastMs : freshMs)) continue
          await this.probe(a, b, entry)
        }
      }
    })
    this.queue = run.catch((thrown) =>
      this.log.warn({}, `measuring links failed: ${asHolonError(thrown).message}`),
    )
    return this.queue
  }

  close(): void {
    this.closed.abort(new Error('the hub closes'))
  }

  private entries(a: string, b: string): Entry[] {
    return this.pairs.get(keyOf(a, b)) ?? []
  }

  private find(one: string, other: string): void {
    const [a, b] = inOrder(one, other) ? [one, other] : [other, one]
    const ways = waysBetween(this.machines.get(a)?.interfaces ?? [], this.machines.get(b)?.interfaces ?? [])
    const before = this.entries(a, b)
    const entries = ways.slice(0, maxWays).map((way): Entry => {
      const same = before.find((entry) => sameWay(entry.way, way))
      return same ?? { way, forth: null, back: null, failure: null, atMs: null }
    })
    this.pairs.set(keyOf(a, b), entries)
  }

  private async probe(one: string, other: string, entry: Entry): Promise<void> {
    const [a, b] = inOrder(one, other) ? [one, other] : [other, one]
    const [from, to] = [this.machines.get(a)?.handle, this.machines.get(b)?.handle]
    entry.atMs = this.clock.now()
    entry.failure = null
    try {
      entry.forth = await this.oneWay(from, to, entry.way.to.address)
      entry.back = await this.oneWay(to, from, entry.way.from.address)
    } catch (thrown) {
      entry.failure = asHolonError(thrown).message
    }
  }

  private async oneWay(
    from: NodeHandle | undefined,
    to: NodeHandle | undefined,
    host: string,
  ): Promise<LinkProbe> {
    if (!from?.pool || !to?.pool)
      throw new HolonError('link_probe_failed', 'One of the two cannot measure links.')
    const secret = randomBytes(32).toString('base64url')
    const waiting = new AbortController()
    const late = AbortSignal.timeout(probeWithinMs)
    try {
      const { port } = await to.pool.awaitProbe(
        { host, secret },
        AbortSignal.any([waiting.signal, late, this.closed.signal]),
      )
      return await from.pool.probe({ host, port, secret }, AbortSignal.any([late, this.closed.signal]))
    } finally {
      waiting.abort()
    }
  }

  private viewsOf(one: string, other: string, entry: Entry): [LinkView, LinkView] {
    const [a, b] = inOrder(one, other) ? [one, other] : [other, one]
    const [from, to] = [this.machines.get(a)?.handle, this.machines.get(b)?.handle]
    const rdma = rdmaBetween(from?.state().profile ?? null, to?.state().profile ?? null)
    const { way, forth, back, failure, atMs } = entry
    const { kind, tier } = way
    const names = { from: from?.name ?? a, to: to?.name ?? b }
    const common = { kind, tier, rdma, failure, measuredAtMs: atMs }
    const turned = { from: names.to, to: names.from }
    return [
      {
        ...common,
        ...names,
        interface: way.from,
        peerInterface: way.to,
        probe: forth,
        warnings: forth ? linkWarnings(names, way, forth, back) : [],
      },
      {
        ...common,
        ...turned,
        interface: way.to,
        peerInterface: way.from,
        probe: back,
        warnings: back ? linkWarnings(turned, { ...way, from: way.to, to: way.from }, back, forth) : [],
      },
    ]
  }
}

const inOrder = (a: string, b: string): boolean => a < b
const keyOf = (a: string, b: string): string => (inOrder(a, b) ? `${a}|${b}` : `${b}|${a}`)

const sameWay = (one: Way, other: Way): boolean =>
  JSON.stringify([one.from, one.to]) === JSON.stringify([other.from, other.to])
