/**
 * Asking a server that Holon did not start: bounded in time and size, no redirects (one could lead back into the hub),
 * and every failure as a sentence that names the server.
 */
import { Agent, request } from 'undici'
import { HolonError } from '../../core/errors.ts'
import { field, text } from './read-json.ts'

export interface EngineAddress {
  title: string
  url: string
  headers: Readonly<Record<string, string>>
}

export interface EngineAnswer {
  status: number
  headers: Record<string, string | string[] | undefined>
  /** Null when the body is no JSON. */
  json: unknown
  text: string
}

const maxBytes = 8 * 1024 * 1024
const usualPatienceMs = 5_000

/** Keep-alive is short: these servers restart under us, and a stale connection is an error for nothing. */
const dispatcher = new Agent({
  connect: { timeout: 5_000 },
  keepAliveTimeout: 1_000,
  headersTimeout: 0,
  bodyTimeout: 0,
})

export interface Question {
  body?: unknown
  signal: AbortSignal
  /** How long the answer may take, milliseconds; 5 s unless told otherwise. */
  withinMs?: number
}

/**
 * Any status is an answer.
 * @throws HolonError engine_unavailable when there is none
 */
export async function askEngine(
  engine: EngineAddress,
  path: string,
  { body, signal, withinMs = usualPatienceMs }: Question,
): Promise<EngineAnswer> {
  const late = AbortSignal.timeout(withinMs)
  try {
    const response = await request(engine.url + path, {
      dispatcher,
      method: body === undefined ? 'GET' : 'POST',
      headers: {
        accept: 'application/json',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...engine.headers,
      },
      body: body === undefined ? null : JSON.stringify(body),
      signal: AbortSignal.any([signal, late]),
    })
    const parts: Buffer[] = []
    let length = 0
    for await (const part of response.body as AsyncIterable<Buffer>) {
      parts.push(part)
      length += part.length
      if (length > maxBytes) throw new Error('its answer does not end')
    }
    const said = Buffer.concat(parts).toString('utf8')
    return { status: response.statusCode, headers: response.headers, json: parse(said), text: said }
  } catch (cause) {
    signal.throwIfAborted()
    const seconds = Math.round(withinMs / 1000)
    throw unreachable(engine, late.aborted ? `no answer in ${seconds} s` : reasonOf(cause), cause)
  }
}

/**
 * The JSON of an answer with status 200.
 * @throws HolonError engine_unavailable
 */
export async function askJson(engine: EngineAddress, path: string, question: Question): Promise<unknown> {
  const answer = await askEngine(engine, path, question)
  if (answer.status === 200 && answer.json !== null) return answer.json
  throw refusedBy(engine, path, answer)
}

export function refusedBy(engine: EngineAddress, path: string, answer: EngineAnswer): HolonError {
  const key = answer.status === 401 || answer.status === 403
  const told = toldBy(answer.json)
  const why = key
    ? 'asks for an API key'
    : answer.status === 200
      ? `answered ${path} with something that is no JSON`
      : `answered ${path} with status ${answer.status}${told ? `: ${told}` : ''}`
  return new HolonError('engine_unavailable', `${engine.title} at ${engine.url} ${sentence(why)}`, {
    source: 'engine',
    hint: key ? 'Give it with HOLON_ENGINE_KEY.' : 'See that HOLON_ENGINE_URL is the address of the engine.',
  })
}

export function unreachable(engine: EngineAddress, why: string, cause?: unknown): HolonError {
  return new HolonError('engine_unavailable', `${engine.title} at ${engine.url} does not answer (${why}).`, {
    source: 'engine',
    hint: 'Start it, or correct HOLON_ENGINE_URL.',
    cause,
  })
}

/** What an engine's error says: OpenAI's envelope, `{"error":"text"}`, `{"message"}`, or FastAPI's `{"detail"}`. */
export function toldBy(json: unknown): string | null {
  const told =
    text(field(json, 'error', 'message')) ??
    text(field(json, 'error')) ??
    text(field(json, 'message')) ??
    text(field(json, 'detail'))
  return told?.slice(0, 500) ?? null
}

function sentence(words: string): string {
  return words.endsWith('.') ? words : `${words}.`
}

function reasonOf(cause: unknown): string {
  const {
    code,
    cause: deeper,
    message,
  } = cause as { code?: unknown; cause?: { code?: unknown }; message?: string }
  return String(code ?? deeper?.code ?? message ?? cause)
}

function parse(said: string): unknown {
  try {
    return JSON.parse(said)
  } catch {
    return null
  }
}
