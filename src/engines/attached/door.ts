/**
 * The door to an engine that was already there: an HTTP server on loopback behind a secret of this launch, which takes
 * OpenAI requests as Holon's own engines do. Model names, paths, keys, timings and other dialects are changed here, so
 * that hub and tunnel relay bytes to all engines alike. A caller that leaves ends the request at the engine; an answer
 * that breaks off there breaks off here, so that nobody takes half of one for whole.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Agent, type Dispatcher, request } from 'undici'
import { asHolonError, HolonError, toEnvelope } from '../../core/errors.ts'
import type { AttachedEngine, Carried, DoorEvents, Translation } from '../attached-engine.ts'
import { unreachable } from './ask-engine.ts'
import { record } from './read-json.ts'
import { translateLines } from './translate-lines.ts'

/** Names the model at the engine; percent-encoded, since names may hold any letters. */
const modelHeader = 'x-holon-engine-model'
const idHeader = 'x-holon-model-id'
const maxBodyBytes = 64 * 1024 * 1024
/** A whole answer that is translated must be held; longer than any model can write. */
const maxAnswerBytes = 64 * 1024 * 1024
const paths = new Set(['/v1/chat/completions', '/v1/completions', '/v1/embeddings'])

export interface Door {
  readonly origin: string
  /** What a lease must send for a model: the secret, and the model's name at the engine and here. */
  headersFor(engineModel: string, id: string): Record<string, string>
  close(): Promise<void>
}

/** Opens a door; it listens on a free port of 127.0.0.1. */
export async function openDoor(engine: AttachedEngine, events: DoorEvents): Promise<Door> {
  const secret = `Bearer ${randomBytes(32).toString('base64url')}`
  const agent = new Agent({
    pipelining: 1,
    // The relay before this door watches the time.
    headersTimeout: 0,
    bodyTimeout: 0,
    // Shorter than what the usual servers keep: a connection they just closed would fail a request for nothing.
    keepAliveTimeout: 1_000,
    connect: { timeout: 10_000 },
  })
  const server = createServer({ keepAliveTimeout: 65_000, noDelay: true, requestTimeout: 0 })
  server.on('request', (req, res) => {
    new Visit(engine, agent, events, req, res)
      .serve(secret)
      .catch((thrown) => fail(res, asHolonError(thrown)))
  })
  const port = await listen(server)
  return {
    origin: `http://127.0.0.1:${port}`,
    headersFor: (engineModel, id) => ({
      authorization: secret,
      [modelHeader]: encodeURIComponent(engineModel),
      [idHeader]: encodeURIComponent(id),
    }),
    close: async () => {
      server.closeAllConnections()
      await Promise.all([new Promise((resolve) => server.close(resolve)), agent.destroy()])
    },
  }
}

/** One request through the door. */
class Visit {
  private readonly engine: AttachedEngine
  private readonly agent: Agent
  private readonly events: DoorEvents
  private readonly req: IncomingMessage
  private readonly res: ServerResponse
  private readonly left = new AbortController()
  private model = ''

  constructor(
    engine: AttachedEngine,
    agent: Agent,
    events: DoorEvents,
    req: IncomingMessage,
    res: ServerResponse,
  ) {
    this.engine = engine
    this.agent = agent
    this.events = events
    this.req = req
    this.res = res
    res.on('error', () => undefined)
    res.on('close', () => {
      if (!res.writableFinished) this.left.abort(new Error('the caller left'))
    })
  }

  async serve(secret: string): Promise<void> {
    const { req, engine } = this
    if (!sameText(req.headers.authorization ?? '', secret)) {
      throw new HolonError('invalid_api_key', 'This door opens only to its own Holon.')
    }
    const path = req.url ?? ''
    if (req.method !== 'POST' || !paths.has(path)) {
      throw new HolonError('not_found', `${engine.title} is not asked for ${path.slice(0, 100)}.`)
    }
    this.model = nameIn(req, modelHeader)
    const id = nameIn(req, idHeader)
    const body = record(parse(await readBody(req)))
    const carried = engine.carry(path, { ...body, model: this.model })
    const giveBack = await carried.turn?.(this.left.signal)
    try {
      await this.pass(carried, body, id)
    } finally {
      giveBack?.()
    }
  }

  private async pass(carried: Carried, body: Record<string, unknown>, id: string): Promise<void> {
    const answer = await this.ask(carried)
    const streamed = String(answer.headers['content-type'] ?? '').includes('text/event-stream')
    if (answer.statusCode !== 200) await this.passRefusal(answer)
    else if (body.stream === true && (streamed || carried.translation !== null)) {
      await this.passStream(answer, carried.translation, id)
    } else await this.passWhole(answer, carried.translation, id)
  }

  private async ask({ path, body }: Carried): Promise<Dispatcher.ResponseData> {
    const { engine, req } = this
    const headers: Record<string, string> = { 'content-type': 'application/json', ...engine.headers }
    for (const name of ['x-request-id', 'traceparent']) {
      const value = req.headers[name]
      if (typeof value === 'string') headers[name] = value
    }
    try {
      return await request(engine.url + path, {
        dispatcher: this.agent,
        method: 'POST',
        headers,
        body: JSON.stringify(body),
        signal: this.left.signal,
        // Some end their side a moment after a stream, though they said that they would keep it (llama-server). The next
        // request met that end, and the engine was called failed for it. Where there is no TLS, connecting costs little.
        reset: engine.url.startsWith('http:'),
      })
    } catch (cause) {
      if (this.left.signal.aborted) throw cause
      const error = unreachable(engine, codeOf(cause), cause)
      this.events.failed(this.model, error)
      throw error
    }
  }

  /** The engine's own words; only a server's failure is held against it, not a caller's mistake. */
  private async passRefusal({ statusCode, headers, body }: Dispatcher.ResponseData): Promise<void> {
    const said = await readAll(body)
    if (statusCode >= 500 || statusCode === 404 || statusCode === 401) {
      const why = `${this.engine.title} answered with status ${statusCode}.`
      this.events.failed(this.model, new HolonError('engine_failed', why, { source: 'engine' }))
    }
    const back: Record<string, string | number> = {
      'content-type': 'application/json',
      'content-length': said.length,
    }
    const { 'retry-after': retry } = headers
    if (typeof retry === 'string') back['retry-after'] = retry
    this.res.writeHead(statusCode, back).end(said)
  }

  private async passStream(
    { body }: Dispatcher.ResponseData,
    translation: Translation | null,
    id: string,
  ): Promise<void> {
    this.res.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
    })
    this.res.flushHeaders()
    try {
      await translateLines(body, this.res, translation, (line) => this.rename(line, id))
      this.events.answered(this.model)
    } catch (cause) {
      if (!this.left.signal.aborted) this.events.failed(this.model, brokenOff(this.engine, cause))
      // Never `end`: the relay must see that the answer broke off.
      this.res.destroy()
    }
  }

  private async passWhole(
    { body, headers }: Dispatcher.ResponseData,
    translation: Translation | null,
    id: string,
  ): Promise<void> {
    let said: Buffer
    try {
      said = await readAll(body)
    } catch (cause) {
      if (!this.left.signal.aborted) this.events.failed(this.model, brokenOff(this.engine, cause))
      this.res.destroy()
      return
    }
    const parsed = parse(said)
    const type = headers['content-type']
    if (typeof parsed !== 'object' || parsed === null) {
      const error = new HolonError(
        'engine_failed',
        `${this.engine.title} answered with something that is no JSON.`,
        {
          source: 'engine',
        },
      )
      this.events.failed(this.model, error)
      throw error
    }
    const answer = translation === null ? parsed : translation.whole(parsed)
    if (record(answer).model === this.model) (answer as Record<string, unknown>).model = id
    const sent = Buffer.from(JSON.stringify(answer))
    this.res.writeHead(200, {
      'content-type': translation === null && typeof type === 'string' ? type : 'application/json',
      'content-length': sent.length,
    })
    this.res.end(sent)
    this.events.answered(this.model)
  }

  /** In JSON a quote inside a text is escaped: these bytes can only be the field itself. */
  private rename(line: string, id: string): string {
    if (id === this.model || !line.startsWith('data:')) return line
    const value = JSON.stringify(this.model)
    const at = new RegExp(`"model":\\s*${value.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')}`)
    return line.replace(at, () => `"model":${JSON.stringify(id)}`)
  }
}

function brokenOff(engine: AttachedEngine, cause: unknown): HolonError {
  return new HolonError(
    'engine_failed',
    `${engine.title} broke off in the middle of an answer (${codeOf(cause)}).`,
    {
      source: 'engine',
      cause,
    },
  )
}

function codeOf(cause: unknown): string {
  const { code, message } = cause as { code?: unknown; message?: unknown }
  return String(code ?? message ?? cause)
}

function fail(res: ServerResponse, error: HolonError): void {
  if (res.headersSent || res.destroyed) {
    res.destroy()
    return
  }
  const body = JSON.stringify(toEnvelope(error))
  res.writeHead(error.status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  })
  res.end(body)
}

function nameIn(req: IncomingMessage, header: string): string {
  const value = req.headers[header]
  try {
    if (typeof value === 'string' && value !== '') return decodeURIComponent(value)
  } catch {
    // Said below.
  }
  throw new HolonError('missing_parameter', `The header ${header} is missing.`, { param: header })
}

function readBody(req: IncomingMessage): Promise<Buffer> {
  return collect(
    req,
    maxBodyBytes,
    () => new HolonError('body_too_large', 'The body is too large for an engine.'),
  )
}

function readAll(body: AsyncIterable<Buffer>): Promise<Buffer> {
  return collect(
    body,
    maxAnswerBytes,
    () => new HolonError('engine_failed', 'The answer of the engine does not end.'),
  )
}

async function collect(
  parts: AsyncIterable<Buffer>,
  most: number,
  tooLong: () => HolonError,
): Promise<Buffer> {
  const kept: Buffer[] = []
  let length = 0
  for await (const part of parts) {
    length += part.length
    if (length > most) throw tooLong()
    kept.push(part)
  }
  return Buffer.concat(kept, length)
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return null
  }
}

function sameText(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)]
  return a.length === b.length && timingSafeEqual(a, b)
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : 0)
    })
  })
}
