/**
 * The gate of the fleet: it puts tunnel, admissions and registry together. Nodes come in here, and are sent away here.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { z } from 'zod'
import type { Clock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import {
  auditResponse,
  nodeRequest,
  nodeResponse,
  tokenRequest,
  tokenResponse,
} from '../../protocol/joining.ts'
import { nodePaths } from '../../protocol/node-wire.ts'
import { createTunnelAcceptor, type TunnelAcceptor } from '../../tunnel/accept.ts'
import type { TunnelSession } from '../../tunnel/session.ts'
import type { Operation } from '../api/operations.ts'
import type { Fleet } from '../registry/fleet.ts'
import { NodeLedger, type NodeRecord } from '../store/node-ledger.ts'
import type { Store } from '../store/store.ts'
import { Admissions } from './admissions.ts'

export interface GateOptions {
  store: Store
  fleet: Fleet
  version: string
  clock: Clock
  log: Log
}

export class Gate {
  readonly admissions: Admissions
  private readonly options: GateOptions
  private readonly acceptor: TunnelAcceptor
  /** By id, for the moment between the credential and the open tunnel. */
  private readonly arriving = new Map<string, NodeRecord>()

  constructor(options: GateOptions) {
    const { store, clock, log, version } = options
    this.options = options
    this.admissions = new Admissions({
      ledger: new NodeLedger(store),
      clock,
      log,
      onRevoked: (node, reason) => this.sendAway(node, reason),
    })
    this.acceptor = createTunnelAcceptor({
      hubVersion: version,
      clock,
      log,
      authenticate: async ({ nodeId, credential }) => {
        const node = await this.admissions.authenticate(nodeId, credential)
        this.arriving.set(node.id, node)
        return { nodeId: node.id }
      },
      onSession: (session) => this.arrived(session),
    })
  }

  /** For the server's upgrades. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    void this.acceptor.upgrade(request, socket, head)
  }

  close(): void {
    this.acceptor.close()
    this.options.fleet.close()
  }

  /** What the owner may do. */
  operations(): Operation[] {
    const { admissions } = this
    return [
      {
        method: 'post',
        path: '/fleet/v1/nodes/token',
        summary: 'A token that admits one machine, once.',
        request: tokenRequest,
        response: tokenResponse,
        run: async (body, { actor }) => {
          const { ttlS } = body as z.infer<typeof tokenRequest>
          const { token, expiresAt } = await admissions.createToken(actor, ttlS)
          return { token, expiresAt: new Date(expiresAt).toISOString() }
        },
      },
      {
        method: 'post',
        path: '/fleet/v1/nodes/revoke',
        summary: 'Sends a node away for good: its tunnel ends at once.',
        request: nodeRequest,
        response: nodeResponse,
        run: async (body, { actor }) => {
          const { node } = body as z.infer<typeof nodeRequest>
          return brief(await admissions.revoke(node, actor))
        },
      },
      {
        method: 'post',
        path: '/fleet/v1/nodes/rotate',
        summary: 'Gives a connected node a new credential.',
        request: nodeRequest,
        response: nodeResponse,
        run: async (body) => brief(await this.rotate((body as z.infer<typeof nodeRequest>).node)),
      },
      {
        method: 'get',
        path: '/fleet/v1/nodes/audit',
        summary: 'Who admitted, refused and revoked whom, newest first.',
        request: null,
        response: auditResponse,
        run: async () => ({ entries: await admissions.audit(200) }),
      },
    ]
  }

  /** The old credential stays good until the node has used the new one, so that a lost answer locks nobody out. */
  private async rotate(idOrName: string): Promise<NodeRecord> {
    const remote = this.options.fleet.find(idOrName)
    if (!remote?.session) {
      throw new HolonError('not_found', `No node "${idOrName.slice(0, 100)}" is connected.`, {
        hint: 'A node gets a new credential through its tunnel: start it first.',
      })
    }
    const { node, credential } = await this.admissions.rotate(remote.id)
    await remote.order(nodePaths.credential, { credential })
    this.options.log.info({ node: node.id }, 'Node credential replaced.')
    return node
  }

  private arrived(session: TunnelSession): void {
    const record = this.arriving.get(session.nodeId)
    this.arriving.delete(session.nodeId)
    const name = record?.name ?? session.nodeId
    this.options.fleet.connected(session, name)
    if (record && this.admissions.isDue(record)) {
      this.rotate(record.id).catch((thrown) =>
        this.options.log.warn({ node: record.id }, `Its credential stays: ${asHolonError(thrown).message}`),
      )
    }
  }

  private sendAway(node: NodeRecord, reason: string): void {
    this.acceptor.revoke(node.id, reason)
    this.options.fleet.revoked(node.id, reason)
  }
}

function brief({ id, name }: NodeRecord): { id: string; name: string } {
  return { id, name }
}
