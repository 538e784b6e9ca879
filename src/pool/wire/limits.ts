/** Every bound of the wire in one place, with its reason. Milliseconds and bytes. */
import { MiB } from '../../core/units.ts'

export interface WireTiming {
  /** Both agents ping this often; also how often silence is looked for. */
  heartbeatMs: number
  /** Nothing heard for this long: the peer, or the way to it, is gone. */
  silenceMs: number
  /** From the first byte to the end of the TLS handshake and the line that names the channel. */
  handshakeMs: number
  /** How long a peer is dialled when the network says that it cannot be reached. */
  dialMs: number
  /** How long a connection waits for the engine that it is meant for. */
  engineMs: number
}

export const defaultTiming: WireTiming = {
  heartbeatMs: 400,
  silenceMs: 2_000,
  handshakeMs: 5_000,
  dialMs: 8_000,
  engineMs: 30_000,
}

/** What one socket holds on the way in and out; with Node's 16 KiB a relay stops and starts for every piece it reads. */
export const socketBuffer = MiB
/**
 * What a relay holds for a side that is slow to take it, each way of each connection. llama.cpp computes a fingerprint of
 * every tensor above 10 MiB before it sends it, byte by byte; so much can be under way meanwhile.
 */
export const maxHeld = 32 * MiB
/** Bytes of one write of small pieces. */
export const maxWrite = 256 * 1024
/** Connections that have not shown the secret yet. The oldest makes room: a true handshake lasts milliseconds. */
export const maxStrangers = 64
/** Connections of one peer that has shown it. Engines use one or two. */
export const maxPerPeer = 16
/** The line that names the channel. */
export const maxPreface = 100
/** A line on the control channel. */
export const maxControlLine = 1_024
