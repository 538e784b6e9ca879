/**
 * One server, two doors: the OpenAI surface straight on node:http, everything else through Hono. What both share stands
 * here: who may call, CORS, keys, and an answer for what is no HTTP.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Certificate } from '../core/certificate.ts'
import { asHolonError, HolonError, toEnvelope } from '../core/errors.ts'
import { newId } from '../core/ids.ts'
import type { EventFeed } from './api/events.ts'
import { isAnonymous } from './auth/anonymous.ts'
import { rememberCaller, requireAdmin } from './auth/caller.ts'
import { selfPath } from './auth/key-operations.ts'
import type { Keys } from './auth/keys.ts'
import type { Dialects } from './dialects/dialects.ts'
import type { Gateway } from './gateway/gateway.ts'
import { discard } from './gateway/read-body.ts'
import { enterLane, isOpenAiPath, pathOf } from './gateway/routes.ts'
import { checkCaller } from './host-check.ts'

export interface Doors {
  /** The address the server listens on. */
  host: string
  keys: Keys
  /** Host headers that were found right; starts empty. */
  knownHosts: Set<string>
  gateway: Gateway
  dialects: Dialects
  events: EventFeed
  /** Hono's listener. */
  app: (req: IncomingMessage, res: ServerResponse) => void
}

/** What any key may read: itself, and as much as the page needs to chat. */
const openToKeys: ReadonlySet<string> = new Set([
  selfPath,
  '/fleet/v1/status',
  '/fleet/v1/models',
  '/fleet/v1/ps',
])

/** Refused here, where the rest can be swallowed: Hono cuts the connection, which hides the answer from the client. */
const maxManagementBytes = 1024 * 1024
const maxHeaderBytes = 16 * 1024

/** @param certificate with it the doors speak TLS, and nothing else */
export function createDoors(doors: Doors, certificate?: Certificate): Server | TlsServer {
  const options = {
    maxHeaderSize: maxHeaderBytes,
    // A client that dribbles its headers or body is cut; answers may take as long as they take.
    headersTimeout: 20_000,
    requestTimeout: 300_000,
    keepAliveTimeout: 65_000,
    connectionsCheckingInterval: 5_000,
    noDelay: true,
  }
  const server = certificate
    ? createTlsServer({ ...options, ...certificate, handshakeTimeout: 20_000, minVersion: 'TLSv1.2' })
    : createServer(options)
  server.on('request', (req, res) => handle(doors, req, res))
  server.on('checkContinue', (req: IncomingMessage, res: ServerResponse) => {
    // A client that asks first learns that its body is too large before it sends it.
    if (doors.gateway.bodies.refusalBeforeReading(req) === null) res.writeContinue()
    handle(doors, req, res)
  })
  server.on('clientError', (error, socket) => answerNoHttp(error, socket as Socket))
  return server
}

function handle(doors: Doors, req: IncomingMessage, res: ServerResponse): void {
  try {
    const { headers } = req
    const { host, origin } = headers
    const fetchSite = headers['sec-fetch-site'] as string | undefined
    // Programs send the same Host again and again and no Origin: checked once.
    if (
      origin !== undefined ||
      fetchSite !== undefined ||
      host === undefined ||
      !doors.knownHosts.has(host)
    ) {
      const allowed = checkCaller({ method: req.method ?? 'GET', host, origin, fetchSite }, doors.host)
      if (allowed !== null) allowOrigin(res, allowed)
      if (host !== undefined && doors.knownHosts.size < 100) doors.knownHosts.add(host)
    }
    if (req.method === 'OPTIONS') {
      preflight(req, res)
      return
    }
    enterLane(req)
    const path = pathOf(req.url ?? '/')
    const dialect = doors.dialects.find(path, req)
    if (dialect !== null) {
      doors.dialects.handle(dialect, req, res, doors.keys.identify(req))
      return
    }
    if (isOpenAiPath(path)) {
      doors.gateway.handle(req, res, doors.keys.identify(req))
      return
    }
    if (!isAnonymous(path)) {
      const caller = doors.keys.identify(req)
      const seat = path === '/fleet/v1/events' ? caller.attend(() => res.destroy()) : null
      if (seat !== null) res.on('close', () => caller.leave(seat))
      if (!openToKeys.has(path)) requireAdmin(caller, 'use the management API')
      rememberCaller(req, caller)
    }
    if (path === '/' && greetsOllama(req)) {
      discard(req)
      res.writeHead(200, { 'content-type': 'text/plain; charset=utf-8' }).end('Ollama is running')
      return
    }
    if (path === '/fleet/v1/events' && (req.method === 'GET' || req.method === 'HEAD')) {
      doors.events.handle(req, res, { 'x-request-id': newId('req') })
      return
    }
    if (Number(headers['content-length'] ?? 0) > maxManagementBytes) {
      throw new HolonError('body_too_large', 'The body is larger than a management call needs.')
    }
    res.setHeader('x-request-id', newId('req'))
    doors.app(req, res)
  } catch (thrown) {
    refuse(doors, req, res, asHolonError(thrown))
  }
}

function refuse(doors: Doors, req: IncomingMessage, res: ServerResponse, error: HolonError): void {
  discard(req)
  if (res.headersSent) {
    res.destroy()
    return
  }
  const envelope = doors.dialects.envelope(pathOf(req.url ?? '/'), req, error) ?? toEnvelope(error)
  const body = JSON.stringify(envelope)
  const headers: Record<string, string | number> = {
    ...error.headers,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  }
  if (error.retryAfterS !== undefined) headers['retry-after'] = Math.max(1, Math.ceil(error.retryAfterS))
  res.writeHead(error.status, headers)
  res.end(body)
}

function allowOrigin(res: ServerResponse, origin: string): void {
  res.setHeader('access-control-allow-origin', origin)
  res.setHeader(
    'access-control-expose-headers',
    'x-request-id, request-id, x-holon-node, x-holon-route, x-holon-resumed, x-holon-queue-waiting, x-holon-queue-eta, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens, retry-after',
  )
  res.setHeader('vary', 'origin')
}

function preflight(req: IncomingMessage, res: ServerResponse): void {
  discard(req)
  res.setHeader('access-control-allow-methods', 'GET, POST, DELETE')
  res.setHeader(
    'access-control-allow-headers',
    req.headers['access-control-request-headers'] ?? 'authorization, content-type',
  )
  res.setHeader('access-control-max-age', '600')
  res.writeHead(204).end()
}

/** Ollama's clients ask `/` whether anybody is there, and say who they are; everybody else gets the page. */
function greetsOllama(req: IncomingMessage): boolean {
  if (req.method !== 'GET' && req.method !== 'HEAD') return false
  return /^ollama\b/i.test(req.headers['user-agent'] ?? '')
}

/** What node's parser refused: the envelope again, since clients of an API expect nothing else. */
function answerNoHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const known =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? new HolonError('headers_too_large', 'The request headers are too large.')
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? new HolonError('request_timeout', 'The request did not arrive in time.')
        : new HolonError('bad_http', 'This is not a well-formed HTTP request.')
  const body = JSON.stringify(toEnvelope(known))
  const reason =
    known.status === 431
      ? 'Request Header Fields Too Large'
      : known.status === 408
        ? 'Request Timeout'
        : 'Bad Request'
  socket.end(
    `HTTP/1.1 ${known.status} ${reason}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}
