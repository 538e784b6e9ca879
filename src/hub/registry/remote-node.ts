/**
 * A node behind a tunnel, to the rest of the hub the same as the one in this process. It outlives its tunnel: the same
 * node coming back is the same handle. Nothing the node says is believed beyond the bounds of the protocol.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { readJsonLines } from '../../core/lines.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { EngineLease, LoadOptions, NodeHandle, NodeState } from '../../protocol/node.ts'
import {
  fromWireError,
  maxReportBytes,
  type NodeReport,
  nodePaths,
  nodeReport,
} from '../../protocol/node-wire.ts'
import type { TunnelSession } from '../../tunnel/session.ts'
import { holdRemote } from './hold-remote.ts'
import { type MemberEvent, type Membership, newMember, nextMembership } from './membership.ts'
import { RemotePool } from './remote-pool.ts'

/** A node may change as often as it likes; the hub looks this often. Milliseconds. */
const lookEveryMs = 50
const answerWithinMs = 15_000

const stateOf: Record<Membership['phase'], NodeState['state']> = {
  joining: 'starting',
  ready: 'ready',
  suspect: 'starting',
  probation: 'starting',
  gone: 'gone',
  revoked: 'gone',
}

export class RemoteNode implements NodeHandle {
  readonly id: string
  readonly name: string
  readonly pool: RemotePool
  /** Null once the node is to be forgotten. */
  member: Membership | null
  session: TunnelSession | null = null
  private readonly clock: Clock
  private report: NodeReport | null = null
  private heardAt = 0
  private readonly listeners = new Set<() => void>()

  constructor(id: string, name: string, clock: Clock) {
    this.id = id
    this.name = name
    this.clock = clock
    this.pool = new RemotePool(() => this.live(), name)
    this.member = newMember(clock.now())
  }

  state(): NodeState {
    const { member, report, session } = this
    const phase = member?.phase ?? 'gone'
    return {
      id: this.id,
      name: this.name,
      state: stateOf[phase],
      profile: report?.profile ?? null,
      engines: report?.engines ?? [],
      models: report?.models ?? [],
      running: phase === 'gone' || phase === 'revoked' ? [] : (report?.running ?? []),
      memory: report?.memory ?? { budgetBytes: 0, usedBytes: 0 },
      role: report?.role ?? null,
      place: report?.place ?? null,
      link: {
        phase,
        sinceMs: member?.sinceMs ?? 0,
        reason: member?.reason ?? null,
        address: session?.remoteAddress ?? null,
        agentVersion: session?.agentVersion ?? null,
        rttMs: session?.stats().rttMs ?? null,
      },
    }
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  /** Something happened to it; listeners hear when that changed where it stands. */
  tell(event: MemberEvent): void {
    const before = this.member
    if (before === null) return
    this.member = nextMembership(before, event, this.clock.now())
    if (this.member?.phase !== before.phase || this.member.reason !== before.reason) this.changed()
  }

  /** Once a second: time has passed, and the node may have given a sign of life. */
  look(): void {
    const silentMs = this.session?.stats().silentMs
    if (silentMs !== undefined) {
      const heardAt = this.clock.now() - silentMs
      // Two readings of one moment differ by rounding.
      if (heardAt > this.heardAt + 10) this.tell({ type: 'heard' })
      this.heardAt = heardAt
    }
    this.tell({ type: 'tick' })
  }

  /** Reads the node's picture for as long as the tunnel lasts. Rejects when the node stops telling it, or tells nonsense. */
  async follow(session: TunnelSession): Promise<void> {
    const answer = await session.request({
      path: nodePaths.changes,
      method: 'GET',
      headersTimeout: answerWithinMs,
      bodyTimeout: 0,
    })
    if (answer.statusCode !== 200) {
      answer.body.destroy()
      throw new HolonError('tunnel_misbehaved', `The node answered ${answer.statusCode} to its own hub.`)
    }
    for await (const line of readJsonLines(answer.body, maxReportBytes)) {
      if (this.session !== session) return
      this.take(line)
      await new Promise<void>((resolve) => this.clock.after(lookEveryMs, resolve))
    }
    throw new HolonError('tunnel_misbehaved', 'The node stopped telling its state.')
  }

  acquire(
    model: string,
    options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<EngineLease> {
    return holdRemote(this.live(), this.name, model, options)
  }

  async load(model: string, options: LoadOptions): Promise<void> {
    await this.order(nodePaths.load, { model, ...options })
  }

  async unload(model: string): Promise<void> {
    await this.order(nodePaths.unload, { model })
  }

  /** Sends it a small order and waits until it is done. @throws HolonError of the node, or tunnel_lost */
  async order(path: string, body: object): Promise<void> {
    const answer = await this.live().request({
      path,
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      headersTimeout: 0,
    })
    const told = await readShort(answer.body)
    if (answer.statusCode !== 204) throw fromWireError((told as { error?: unknown } | null)?.error)
  }

  private live(): TunnelSession {
    const { session } = this
    if (session && session.endedBy() === null) return session
    throw new HolonError('tunnel_lost', `Node ${this.name} is not connected.`)
  }

  private take(line: unknown): void {
    const checked = nodeReport.safeParse(line)
    if (!checked.success) {
      const issue = checked.error.issues[0]
      const where = issue?.path.slice(0, 4).join('.') || 'it'
      this.tell({
        type: 'lied',
        reason: `Its picture was refused: ${where}: ${issue?.message ?? 'not right'}.`,
      })
      return
    }
    const ids = new Set(checked.data.models.map(({ id }) => id))
    if (ids.size !== checked.data.models.length) {
      this.tell({ type: 'lied', reason: 'Its picture was refused: it names a model twice.' })
      return
    }
    this.report = checked.data
    this.tell({ type: 'reported' })
    this.changed()
  }

  private changed(): void {
    for (const listener of [...this.listeners]) listener()
  }
}

const maxAnswerBytes = 16 * 1024

async function readShort(body: AsyncIterable<Uint8Array>): Promise<unknown> {
  let text = ''
  for await (const chunk of body) {
    text += Buffer.from(chunk).toString('utf8')
    if (text.length > maxAnswerBytes)
      throw new HolonError('tunnel_misbehaved', 'The node answered at length to an order.')
  }
  try {
    return text === '' ? null : JSON.parse(text)
  } catch {
    return null
  }
}
