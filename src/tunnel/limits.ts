/**
 * Every bound of the tunnel in one place, with its reason. Node's defaults fail a soak: docs/decisions/0006-tunnel.md
 * says which of them and what was measured.
 */
import type { ClientSessionOptions, ServerOptions } from 'node:http2'
import { MiB } from '../core/units.ts'

export interface TunnelTiming {
  /** Both ends ping this often; also how often silence is looked for. Milliseconds. */
  heartbeatMs: number
  /** Nothing whole heard for this long: the peer is gone, whatever TCP believes. Milliseconds. */
  silenceMs: number
  /** A message that the peer's side did not take for this long: it reads nothing. Milliseconds. */
  writeStallMs: number
  /** From the upgrade to the peer's HTTP/2 settings. Milliseconds. */
  setupMs: number
  /** How long an older connection may take to prove that it lives, when another machine claims its identity. */
  probeMs: number
}

export const defaultTiming: TunnelTiming = {
  heartbeatMs: 3_000,
  silenceMs: 9_000,
  writeStallMs: 20_000,
  setupMs: 10_000,
  probeMs: 2_000,
}

/** What this end puts into one WebSocket message: small, so that on a slow line a whole one arrives within `silenceMs`. */
export const messageBytes = 32 * 1024
/** What this end takes as one WebSocket message; the room for later versions is all that it is more. */
export const maxMessageBytes = 128 * 1024
/** Fragments of one WebSocket message. Holon sends none; a proxy may. */
export const maxFragments = 64

/** Requests open at once in one tunnel. A node answers some dozens at a time; the queue is the hub's, not the tunnel's. */
export const maxOpenStreams = 512
export const maxHeaderBytes = 32 * 1024
export const maxPathBytes = 8 * 1024

/**
 * What one stream may send ahead of its reader, and so what a stalled reader costs at most: answers on the hub,
 * uploads on the node. A line of 50 ms round trip carries 5 MB/s per answer and 20 MB/s per upload with these.
 */
export const hubStreamWindow = 256 * 1024
export const nodeStreamWindow = 1 * MiB
/**
 * For all streams of a tunnel together. Node gives it back as soon as bytes arrive, read or not, so it bounds speed
 * over distance and not memory. With the default of 64 KiB a 50 ms line would carry 1.3 MB/s, however many streams.
 */
export const sessionWindow = 8 * MiB

/**
 * Megabytes, and so many that it bounds nothing. Node adds what waits to be sent to this account and, when a stream is
 * cancelled, does not take it off again: with its default of 10 a tunnel refused every request after some 250 cancelled
 * answers, and any other limit only puts that off. What bounds memory is streams times windows.
 */
const maxSessionMemory = 4_000_000_000

/** RST_STREAM frames the hub sends at once, and per second: below what nghttp2 takes on the node. See canceller.ts. */
export const cancelBurst = 800
export const cancelsPerS = 30

/** Options that Node has and its types lack. */
interface FaultLimits {
  maxSessionRejectedStreams: number
  maxSessionInvalidFrames: number
}

/** The node's end: the HTTP/2 server. */
export const nodeSessionOptions: ServerOptions & FaultLimits = {
  maxSessionMemory,
  maxSessionRejectedStreams: 10_000,
  maxSessionInvalidFrames: 100,
  maxHeaderListPairs: 128,
  settings: {
    enablePush: false,
    initialWindowSize: nodeStreamWindow,
    maxConcurrentStreams: maxOpenStreams,
    maxHeaderListSize: maxHeaderBytes,
  },
}
/** The hub's end: the HTTP/2 client, which does not trust the server. */
export const hubSessionOptions: ClientSessionOptions & FaultLimits = {
  maxSessionMemory,
  maxSessionRejectedStreams: 100,
  maxSessionInvalidFrames: 10,
  maxReservedRemoteStreams: 0,
  maxHeaderListPairs: 128,
  peerMaxConcurrentStreams: maxOpenStreams,
  settings: { enablePush: false, initialWindowSize: hubStreamWindow, maxHeaderListSize: maxHeaderBytes },
}
