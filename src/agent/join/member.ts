/** This machine as a member of a fleet: its node API behind a tunnel to the hub. */
import type { Home } from '../../core/home.ts'
import type { Log } from '../../core/log.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { dialHub, type TunnelDialer } from '../../tunnel/dial.ts'
import { createNodeServer } from '../node-server/node-server.ts'
import { type NodeIdentity, writeIdentity } from './identity.ts'

export interface MemberOptions {
  identity: NodeIdentity
  node: NodeHandle
  home: Home
  version: string
  role?: string | null
  place?: string | null
  log: Log
  /** Certificates to trust beside the system's, in PEM. */
  ca?: string
  onState?: Parameters<typeof dialHub>[0]['onState']
}

export interface Member {
  state: TunnelDialer['state']
  /** Resolves when it will not dial again: with the reason, or null after `stop`. */
  readonly ended: TunnelDialer['ended']
  stop(): Promise<void>
}

/** @throws HolonError config_invalid when the hub's address cannot be used */
export function joinFleet(options: MemberOptions): Member {
  const { node, home, log, role, place } = options
  let identity = options.identity
  const server = createNodeServer({
    node,
    role,
    place,
    log,
    keepCredential: async (credential) => {
      identity = { ...identity, credential }
      writeIdentity(home, identity)
    },
  })
  const dialer = dialHub({
    hubUrl: identity.hub,
    nodeId: identity.nodeId,
    agentVersion: options.version,
    credential: () => identity.credential,
    handler: server.handler,
    ca: options.ca,
    onState: options.onState,
    log,
  })
  return {
    state: () => dialer.state(),
    ended: dialer.ended,
    stop: async () => {
      await dialer.stop()
      await server.close()
    },
  }
}
