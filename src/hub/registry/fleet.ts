/**
 * The registry: every node of the fleet, near and far, as one list that lives. Near ones are there for good; far ones
 * come with their tunnels, are watched once a second, and are forgotten when they have been gone for long.
 */
import type { Clock } from '../../core/clock.ts'
import { asHolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { TunnelSession } from '../../tunnel/session.ts'
import { closeCodes } from '../../tunnel/wire.ts'
import { RemoteNode } from './remote-node.ts'

const lookMs = 1_000

export class Fleet {
  /** Always the same list, changed in place: whoever holds it sees the fleet as it is. */
  readonly nodes: NodeHandle[]
  private readonly clock: Clock
  private readonly log: Log
  private readonly remote = new Map<string, RemoteNode>()
  private readonly listeners = new Set<(node?: NodeHandle) => void>()
  private readonly stops: (() => void)[]
  private stopTimer: (() => void) | null = null

  constructor(local: readonly NodeHandle[], clock: Clock, log: Log) {
    this.nodes = [...local]
    this.clock = clock
    this.log = log
    this.stops = local.map((node) => node.subscribe(() => this.changed(node)))
  }

  /** Calls back on every change of any node, with the node, and of the list, without. */
  subscribe(listener: (node?: NodeHandle) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  find(idOrName: string): RemoteNode | null {
    const byId = this.remote.get(idOrName)
    if (byId) return byId
    return [...this.remote.values()].find((node) => node.name === idOrName) ?? null
  }

  /** A tunnel opened. */
  connected(session: TunnelSession, name: string): RemoteNode {
    const node = this.remote.get(session.nodeId) ?? this.add(session.nodeId, name)
    node.session = session
    node.tell({ type: 'connected' })
    node.follow(session).catch((thrown) => this.unfaithful(node, session, thrown))
    void session.closed.then((end) => {
      if (node.session !== session) return
      node.session = null
      // Whoever revoked it has told the reason.
      if (end.code !== closeCodes.revoked)
        node.tell({ type: 'lost', reason: end.error.message, orderly: end.code === closeCodes.goingAway })
    })
    this.watch()
    return node
  }

  revoked(id: string, reason: string): void {
    this.remote.get(id)?.tell({ type: 'revoked', reason })
  }

  /** A node that the hub itself makes of others: a pool. @returns the way to take it out again */
  put(node: NodeHandle): () => void {
    this.nodes.push(node)
    const unsubscribe = node.subscribe(() => this.changed(node))
    this.changed()
    return () => {
      unsubscribe()
      const at = this.nodes.indexOf(node)
      if (at !== -1) this.nodes.splice(at, 1)
      this.changed()
    }
  }

  close(): void {
    this.stopTimer?.()
    this.stopTimer = null
    for (const stop of this.stops) stop()
    this.listeners.clear()
  }

  private add(id: string, name: string): RemoteNode {
    const node = new RemoteNode(id, name, this.clock)
    this.remote.set(id, node)
    this.nodes.push(node)
    node.subscribe(() => this.changed(node))
    return node
  }

  private unfaithful(node: RemoteNode, session: TunnelSession, thrown: unknown): void {
    if (session.endedBy() !== null || node.session !== session) return
    const { message } = asHolonError(thrown)
    this.log.warn({ node: node.id }, `A node was sent away: ${message}`)
    node.tell({ type: 'lied', reason: message })
    session.close(closeCodes.misbehaved, message.slice(0, 100))
  }

  private watch(): void {
    this.stopTimer ??= this.clock.after(lookMs, () => {
      this.stopTimer = null
      for (const node of this.remote.values()) {
        node.look()
        if (node.member === null) this.forget(node)
      }
      if (this.remote.size > 0) this.watch()
    })
  }

  private forget(node: RemoteNode): void {
    this.remote.delete(node.id)
    const at = this.nodes.indexOf(node)
    if (at !== -1) this.nodes.splice(at, 1)
    this.changed()
  }

  private changed(node?: NodeHandle): void {
    for (const listener of [...this.listeners]) listener(node)
  }
}
