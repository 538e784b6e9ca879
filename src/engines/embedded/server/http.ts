import { createHash, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { asHolonError, HolonError, toEnvelope } from '../../../core/errors.ts'
import { type Body, isObject } from './fields.ts'

/** One request as a route sees it. */
export interface Exchange {
  body: Body
  response: ServerResponse
  /** Fires when the client goes away. */
  signal: AbortSignal
}
export type Route = (exchange: Exchange) => Promise<void> | void

const maxBodyBytes = 64 * 2 ** 20

/** A plain HTTP server for the hub alone: a secret per launch, JSON in, JSON or server-sent events out. */
export function createEngineServer(routes: ReadonlyMap<string, Route>, secret: string): Server {
  const server = createServer((request, response) => {
    void handle(routes, secret, request, response)
  })
  // The hub keeps connections; a slow prompt must not be taken for an idle one.
  server.keepAliveTimeout = 75_000
  server.requestTimeout = 0
  return server
}

async function handle(
  routes: ReadonlyMap<string, Route>,
  secret: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) gone.abort(new DOMException('The client went away.', 'AbortError'))
  })
  try {
    const path = (request.url ?? '/').split('?', 1)[0] ?? '/'
    const route = routes.get(`${request.method} ${path}`)
    if (!route)
      throw new HolonError('not_found', `There is no ${request.method} ${path}.`, { source: 'engine' })
    if (path !== '/health' && !authorised(request, secret)) return sendUnauthorised(response)
    const body = request.method === 'POST' ? await readBody(request) : {}
    await route({ body, response, signal: gone.signal })
  } catch (thrown) {
    if (!gone.signal.aborted) sendError(response, thrown)
  }
}

function authorised(request: IncomingMessage, secret: string): boolean {
  const given = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? ''
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(secret))
}

function sendUnauthorised(response: ServerResponse): void {
  const error = {
    message: 'This engine answers only to the process that started it.',
    type: 'authentication_error',
    param: null,
    code: 'unauthorised',
    source: 'engine',
  }
  sendJson(response, { error }, 401)
}

async function readBody(request: IncomingMessage): Promise<Body> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > maxBodyBytes) {
      throw new HolonError('body_too_large', `The body is larger than ${maxBodyBytes} bytes.`, {
        source: 'engine',
      })
    }
    chunks.push(chunk)
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
  } catch (cause) {
    throw new HolonError('invalid_utf8', 'The body is not valid UTF-8.', { source: 'engine', cause })
  }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : 'it cannot be parsed'
    throw new HolonError('invalid_json', `The body is not JSON: ${why.slice(0, 120)}.`, {
      source: 'engine',
      cause,
    })
  }
  if (!isObject(value))
    throw new HolonError('invalid_json', 'The body is not a JSON object.', { source: 'engine' })
  return value
}

export function sendJson(response: ServerResponse, value: unknown, status = 200): void {
  const body = Buffer.from(JSON.stringify(value))
  response.writeHead(status, {
    'content-type': 'application/json; charset=utf-8',
    'content-length': body.length,
  })
  response.end(body)
}

/** As a status before the first byte, as an event after it: a stream that failed ends without `[DONE]`. */
export function sendError(response: ServerResponse, thrown: unknown): void {
  const error = asHolonError(thrown)
  const envelope = toEnvelope(error)
  envelope.error.source = 'engine'
  if (response.headersSent) {
    response.end(`data: ${JSON.stringify(envelope)}\n\n`)
    return
  }
  if (error.retryAfterS !== undefined) response.setHeader('retry-after', String(error.retryAfterS))
  sendJson(response, envelope, error.status)
}

/** Server-sent events; headers go out with the first one, so that a failure before it still has its status. */
export class EventStream {
  private readonly response: ServerResponse

  constructor(response: ServerResponse) {
    this.response = response
  }

  send(value: unknown): void {
    if (!this.response.headersSent) {
      this.response.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'cache-control': 'no-cache',
      })
    }
    this.response.write(`data: ${JSON.stringify(value)}\n\n`)
  }

  done(): void {
    this.response.end('data: [DONE]\n\n')
  }
}
