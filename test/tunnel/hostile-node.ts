/** A node that speaks WebSocket properly and anything it likes inside: raw HTTP/2 frames by hand. */
import { WebSocket } from 'ws'
import { handshakeHeaders, subprotocol } from '../../src/tunnel/wire.ts'

export const types = {
  data: 0,
  headers: 1,
  rst: 3,
  settings: 4,
  push: 5,
  ping: 6,
  window: 8,
  continuation: 9,
} as const
export const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const

export function frame(
  type: number,
  flag: number,
  streamId: number,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flag
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

/** HPACK (RFC 7541): `:status: 200` from the static table, and a header as a literal. */
export const status200 = Buffer.of(0x88)
export function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), hpackText(name), hpackText(value)])
}
function hpackText(text: string): Buffer {
  const bytes: number[] = []
  let length = text.length
  if (length < 127) bytes.push(length)
  else {
    bytes.push(127)
    for (length -= 127; length >= 128; length = length >> 7) bytes.push((length & 127) | 128)
    bytes.push(length)
  }
  return Buffer.concat([Buffer.from(bytes), Buffer.from(text)])
}

export const ourSettings = frame(types.settings, 0, 0)
export const settingsAck = frame(types.settings, flags.ack, 0)

export interface HostileNode {
  ws: WebSocket
  send(bytes: Buffer): void
  /** Resolves with the close code the hub gave. */
  closed: Promise<{ code: number; reason: string }>
}

export function upgradeHeaders(nodeId: string, instance = 'i1'): Record<string, string> {
  return {
    authorization: `Bearer key-${nodeId}`,
    [handshakeHeaders.node]: nodeId,
    [handshakeHeaders.instance]: instance,
    [handshakeHeaders.version]: '0.1.0-test',
  }
}

/** Connects as `nodeId` and, unless told otherwise, says its SETTINGS, so that the hub takes it for a node. */
export async function connectHostile(
  hub: { url: string },
  nodeId: string,
  options: { silent?: boolean; instance?: string } = {},
): Promise<HostileNode> {
  const ws = new WebSocket(`${hub.url.replace('http', 'ws')}/fleet/v1/tunnel`, [subprotocol(1)], {
    headers: upgradeHeaders(nodeId, options.instance),
    perMessageDeflate: false,
  })
  ws.on('error', () => undefined)
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    ws.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
  })
  await new Promise<void>((resolve, reject) => {
    ws.once('open', () => resolve())
    ws.once('unexpected-response', (_, response) => reject(new Error(`refused with ${response.statusCode}`)))
  })
  const send = (bytes: Buffer) => ws.send(bytes, () => undefined)
  if (!options.silent) send(Buffer.concat([ourSettings, settingsAck]))
  return { ws, send, closed }
}
