/**
 * What hub and node must agree on before a byte of HTTP/2 flows: the path, the handshake's headers, the versions and
 * the close codes. Everything after the handshake is plain HTTP/2 (RFC 9113) in binary WebSocket messages.
 */

export const tunnelPath = '/fleet/v1/tunnel'

/** Requests between the ends of the tunnel themselves, which no caller may send and no handler sees. */
export const tunnelPrefix = '/.holon-tunnel/'
/** Resets the streams that its body names. */
export const cancelPath = `${tunnelPrefix}cancel`

/** Versions of the tunnel this build speaks, newest first. Raised only when an older peer could not follow. */
export const tunnelVersions: readonly number[] = [1]

export const subprotocol = (version: number): string => `holon-tunnel.v${version}`

/** Header names of the handshake. Hyphens only: nginx drops names with underscores. */
export const handshakeHeaders = {
  /** The node's id, as a claim; what the credential says is the truth. */
  node: 'x-holon-node',
  /** Random per agent process: tells a reconnect from a second machine with the same identity. */
  instance: 'x-holon-instance',
  /** The agent's Holon version, for people. */
  version: 'x-holon-version',
} as const

/** WebSocket close codes. The 4xxx ones are ours; their last digits follow the HTTP status of the same meaning. */
export const closeCodes = {
  /** An orderly stop of either side. */
  goingAway: 1001,
  notBinary: 1003,
  tooBig: 1009,
  /** The peer broke HTTP/2 or a limit. */
  misbehaved: 4400,
  /** The node's credential was revoked: it must not come back. */
  revoked: 4403,
  /** Nothing was heard for too long, or the peer did not take what was sent. */
  silent: 4408,
  /** A newer connection of the same node took over. */
  replaced: 4409,
  /** Another machine with the same identity is connected and alive. */
  identityInUse: 4419,
  /** The hub no longer speaks the node's version. */
  version: 4426,
} as const

const idPattern = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/

/** Ids travel in headers and log lines, so they hold nothing that could break out of either. */
export const isTunnelId = (text: unknown): text is string => typeof text === 'string' && idPattern.test(text)
