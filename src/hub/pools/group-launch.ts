/**
 * One launch of a group, as its members carry it out: opens, starts and ends their parts, and tells the controller what
 * came of it. A part lives no longer than the stream that opened it; what is given up is ended as soon as it exists.
 */
import { randomBytes } from 'node:crypto'
import { asHolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { GroupPlacement } from '../../pool/preview/placed.ts'
import { lostPeer } from '../../pool/wire/lost-peer.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { OpenPart, PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'

export interface LaunchEvents {
  opened(rank: number): void
  started(rank: number): void
  progress(progress: LoadProgress): void
  failed(rank: number, reason: string): void
  stopped(rank: number): void
}

export interface LaunchOptions {
  pool: string
  group: GroupPlacement
  /** In order of rank. */
  handles: readonly NodeHandle[]
  /** How each member calls the model. */
  modelIds: readonly string[]
  /** Where each member's peers reach it; null when no network joins them. */
  hosts: readonly (string | null)[]
  mode: PartSpec['wire']['mode']
  /** What must be done on the members before any part is opened. */
  before(options: { signal: AbortSignal; onProgress(progress: LoadProgress): void }): Promise<void>
  events: LaunchEvents
}

interface Part {
  readonly cancel: AbortController
  opening: Promise<OpenPart | null>
  running: RunningPart | null
  progress: LoadProgress | null
}

export class GroupLaunch {
  readonly options: LaunchOptions
  /** Resolves with one sentence when the group no longer serves, whoever found that out. */
  readonly ended: Promise<string>
  private readonly specs: readonly PartSpec[]
  private readonly parts: (Part | undefined)[] = []
  private readonly addresses: (PeerAddress | null)[] = []
  private end: (reason: string) => void = () => undefined
  private prepared: Promise<void> | null = null

  constructor(options: LaunchOptions) {
    this.options = options
    this.specs = partSpecs(options)
    this.ended = new Promise((resolve) => {
      this.end = resolve
    })
  }

  /** The head's engine for one request. @throws HolonError of the lease; null when there is no head */
  lease() {
    return this.parts[0]?.running?.lease?.() ?? null
  }

  /** Requests under way are told. */
  leaveService(reason: string): void {
    this.end(reason)
  }

  /** Resident memory of a part, bytes; null while nobody knows. */
  memoryOf(rank: number): number | null {
    return this.parts[rank]?.running?.memoryBytes ?? null
  }

  open(rank: number): void {
    const { events } = this.options
    const cancel = new AbortController()
    const part: Part = { cancel, opening: Promise.resolve(null), running: null, progress: null }
    this.parts[rank] = part
    part.opening = this.openPart(rank, cancel.signal).catch((thrown) => {
      if (!cancel.signal.aborted) this.failed(rank, sentenceOf(thrown))
      return null
    })
    void part.opening.then((open) => {
      if (open === null) return
      void open.died.then((reason) => {
        this.end(reason)
        if (!cancel.signal.aborted) this.failed(rank, reason)
      })
      const { listening } = open
      this.addresses[rank] = listening === null ? null : { rank, host: listening.host, port: listening.port }
      if (!cancel.signal.aborted) events.opened(rank)
    })
  }

  start(rank: number): void {
    void this.startPart(rank)
  }

  stop(rank: number): void {
    const part = this.parts[rank]
    if (!part) {
      this.options.events.stopped(rank)
      return
    }
    part.cancel.abort(new Error('the pool gives this part up'))
    void part.opening
      .then((open) => open?.stop())
      .catch(() => undefined)
      .then(() => this.options.events.stopped(rank))
  }

  private async openPart(rank: number, signal: AbortSignal): Promise<OpenPart> {
    const member = this.options.handles[rank]?.pool
    const spec = this.specs[rank]
    if (!member || !spec) throw new Error('the node can no longer take part in pools')
    this.prepared ??= this.options.before({ signal, onProgress: this.options.events.progress })
    await this.prepared
    signal.throwIfAborted()
    return member.open(spec, signal)
  }

  private async startPart(rank: number): Promise<void> {
    const { events } = this.options
    const part = this.parts[rank]
    const open = await part?.opening
    if (!part || !open || part.cancel.signal.aborted) return
    const peers = this.addresses.filter(
      (address) => address != null && address.rank !== rank,
    ) as PeerAddress[]
    const onProgress = (progress: LoadProgress) => {
      part.progress = progress
      if (!part.cancel.signal.aborted) events.progress(this.progress())
    }
    try {
      part.running = await open.start(peers, { signal: part.cancel.signal, onProgress })
      if (!part.cancel.signal.aborted) events.started(rank)
    } catch (thrown) {
      if (!part.cancel.signal.aborted) this.failed(rank, sentenceOf(thrown))
    }
  }

  /** One bar for the group: each part counts by its share of the model. */
  private progress(): LoadProgress {
    const { members } = this.options.group.plan
    let percent = 0
    let known = false
    for (const [rank, { share }] of members.entries()) {
      const part = this.parts[rank]
      if (part?.progress?.percent != null) known = true
      percent += share * (part?.running ? 100 : (part?.progress?.percent ?? 0))
    }
    const shown = this.parts.find((part) => part?.progress && !part.running)?.progress
    const etaS = Math.max(...this.parts.map((part) => (part?.running ? 0 : (part?.progress?.etaS ?? 0))))
    return {
      phase: shown?.phase ?? 'starting',
      percent: known ? Math.min(100, Math.max(0, percent)) : null,
      etaS: etaS > 0 ? etaS : null,
    }
  }

  /** Of two that lost each other, the one that can still say so is not to blame. */
  private failed(rank: number, sentence: string): void {
    const { events, handles } = this.options
    const culprit = lostPeer(sentence) ?? rank
    const named = sentence.replace(/\bmember (\d+)\b/g, (word, other) => handles[Number(other)]?.name ?? word)
    events.failed(culprit < handles.length ? culprit : rank, `${handles[rank]?.name}: ${named}`)
  }
}

function sentenceOf(thrown: unknown): string {
  const { message, hint } = asHolonError(thrown)
  return hint ? `${message} ${hint}` : message
}

/** One secret for each pair, made for this launch and kept in memory only. */
function partSpecs({ pool, group, modelIds, hosts, mode }: LaunchOptions): PartSpec[] {
  const launch = newId('launch')
  const size = group.plan.members.length
  const secrets = new Map<string, string>()
  const secretOf = (a: number, b: number): string => {
    const key = `${Math.min(a, b)}-${Math.max(a, b)}`
    const secret = secrets.get(key) ?? randomBytes(32).toString('base64url')
    secrets.set(key, secret)
    return secret
  }
  return group.plan.members.map((_, rank) => ({
    pool,
    launch,
    engine: group.engine.id,
    rank,
    size,
    model: modelIds[rank] ?? group.plan.model,
    settings: group.settings[rank] ?? {},
    wire: {
      host: hosts[rank] ?? null,
      mode,
      peers: group.plan.members.flatMap((_member, other) =>
        other === rank ? [] : [{ rank: other, secret: secretOf(rank, other) }],
      ),
    },
  }))
}
