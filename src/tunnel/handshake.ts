/**
 * What is said before the tunnel opens: who calls, in which version, and a refusal that both a person and the agent
 * understand. Refusals are HTTP answers with a body in the usual error envelope plus `refusal`, by which an agent tells
 * the hub's own word from that of a proxy between: only the hub can make it give up.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { catalogue, type ErrorCode, HolonError, toEnvelope } from '../core/errors.ts'
import { handshakeHeaders, isTunnelId, subprotocol, tunnelPath } from './wire.ts'

export interface TunnelHello {
  /** The bearer credential, never logged. */
  credential: string
  /** Who the caller says it is; `authenticate` decides. */
  nodeId: string
  instanceId: string
  agentVersion: string
  /** The tunnel version both ends will speak. */
  version: number
  remoteAddress: string
}

/** The parts of a handshake this end speaks for. */
export interface HubTerms {
  path: string
  versions: readonly number[]
  hubVersion: string
}

const invalid = (sentence: string): HolonError => new HolonError('tunnel_handshake_invalid', sentence)

/** @throws HolonError tunnel_handshake_invalid, tunnel_refused, tunnel_version, not_found */
export function readHello(request: IncomingMessage, terms: HubTerms): TunnelHello {
  const path = (request.url ?? '').split('?', 1)[0]
  if (path !== terms.path) throw new HolonError('not_found', 'There is no WebSocket at this path.')
  if (request.method !== 'GET') throw invalid('A tunnel begins with GET.')
  if (header(request, 'upgrade')?.toLowerCase() !== 'websocket')
    throw invalid('A tunnel begins with a WebSocket upgrade.')
  const nodeId = header(request, handshakeHeaders.node)
  const instanceId = header(request, handshakeHeaders.instance)
  if (!isTunnelId(nodeId) || !isTunnelId(instanceId)) throw invalid('The handshake names no node, or badly.')
  const agentVersion = (header(request, handshakeHeaders.version) ?? 'unknown')
    .replace(/[^\w.+-]/g, '?')
    .slice(0, 40)
  const version = agree(request, terms, nodeId, agentVersion)
  const bearer = /^Bearer ([\x21-\x7e]{1,4096})$/i.exec(header(request, 'authorization') ?? '')
  if (!bearer) throw new HolonError('tunnel_refused', 'The handshake carries no credential.')
  return {
    credential: bearer[1]!,
    nodeId,
    instanceId,
    agentVersion,
    version,
    remoteAddress: request.socket.remoteAddress ?? 'unknown',
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

/** The newest version both speak. */
function agree(request: IncomingMessage, terms: HubTerms, nodeId: string, agentVersion: string): number {
  const offered = (header(request, 'sec-websocket-protocol') ?? '').split(',').map((each) => each.trim())
  const version = terms.versions.find((each) => offered.includes(subprotocol(each)))
  if (version !== undefined) return version
  const theirs = offered.flatMap((each) => {
    const found = /^holon-tunnel\.v(\d{1,6})$/.exec(each)
    return found ? [Number(found[1])] : []
  })
  if (theirs.length === 0) throw invalid('The handshake offers no tunnel protocol.')
  const nodeIsOlder = Math.max(...theirs) < Math.max(...terms.versions)
  throw new HolonError(
    'tunnel_version',
    `The hub (Holon ${terms.hubVersion}) speaks tunnel version ${terms.versions.join(', ')}, ` +
      `and node ${nodeId} (Holon ${agentVersion}) speaks version ${theirs.slice(0, 8).join(', ')}.`,
    { hint: nodeIsOlder ? 'Update Holon on the node.' : 'Update Holon on the hub.' },
  )
}

/** How long a refused caller may take to read why. Milliseconds. */
const lingerMs = 1_000

/** Answers an upgrade with an error and ends the socket, whether the other end reads or not. */
export function refuseUpgrade(socket: Duplex, error: HolonError): void {
  const body = JSON.stringify({
    ...toEnvelope(error),
    refusal: { code: error.code, message: error.message, hint: error.hint ?? null },
  })
  const head = [
    `HTTP/1.1 ${error.status} Refused`,
    'connection: close',
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(body)}`,
  ]
  if (error.retryAfterS !== undefined) head.push(`retry-after: ${Math.ceil(error.retryAfterS)}`)
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`)
  const timer = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => clearTimeout(timer))
  // Bytes that a peer sent ahead must not hold the socket half open.
  socket.resume()
}

const maxRefusalBytes = 8 * 1024

/** The hub's refusal as an error, or what a proxy in its place said. Never throws. */
export async function readRefusal(response: IncomingMessage): Promise<HolonError> {
  let text = ''
  try {
    for await (const chunk of response) {
      text += String(chunk)
      if (text.length > maxRefusalBytes) break
    }
  } catch {
    // A refusal cut short is still one, by its status.
  }
  response.destroy()
  const status = response.statusCode ?? 0
  const retryAfter = Number(response.headers['retry-after'])
  const retryAfterS = retryAfter > 0 && retryAfter <= 3_600 ? retryAfter : undefined
  return fromHub(text, retryAfterS) ?? fromOther(status, retryAfterS)
}

function fromHub(text: string, retryAfterS: number | undefined): HolonError | null {
  try {
    const { refusal } = JSON.parse(text) as {
      refusal?: { code?: unknown; message?: unknown; hint?: unknown }
    }
    if (!refusal || typeof refusal.code !== 'string' || typeof refusal.message !== 'string') return null
    if (!Object.hasOwn(catalogue, refusal.code)) return null
    const hint = typeof refusal.hint === 'string' ? refusal.hint.slice(0, 500) : undefined
    return new HolonError(refusal.code as ErrorCode, refusal.message.slice(0, 500), { hint, retryAfterS })
  } catch {
    return null
  }
}

function fromOther(status: number, retryAfterS: number | undefined): HolonError {
  return new HolonError(
    'tunnel_handshake_invalid',
    `The hub's address answered ${status}, and not as a hub does.`,
    {
      hint: `Check the address; a proxy in between must pass ${tunnelPath} with its upgrade headers on to the hub.`,
      retryAfterS,
    },
  )
}
