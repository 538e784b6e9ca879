/** An engine's own error response, and a failed connection to it, as errors of the catalogue that say `engine`. */
import { type ErrorCode, HolonError } from '../../core/errors.ts'

/** What an engine answered instead of an answer. */
export interface Refusal {
  status: number
  body: Buffer
  retryAfter: string | undefined
}

/** @returns the envelope to send and its status; the engine's message and parameter survive, its numbers in `code` do not */
export function fromRefusal(refusal: Refusal): { error: HolonError; status: number; envelope: string } {
  const told = readEngineError(refusal.body)
  const status = refusal.status === 401 || refusal.status === 403 ? 502 : refusal.status
  const code = codeFor(status, told.type, told.message)
  const message = forOwners(told.message) ?? `The engine answered with status ${refusal.status}.`
  const retryAfterS = refusal.retryAfter === undefined ? undefined : Number(refusal.retryAfter) || 1
  const error = new HolonError(code, message, {
    source: 'engine',
    param: told.param ?? undefined,
    retryAfterS: status === 503 ? (retryAfterS ?? 1) : retryAfterS,
  })
  const envelope = JSON.stringify({
    error: {
      message: code === 'context_length_exceeded' && error.hint ? `${message} ${error.hint}` : message,
      type: ['rate_limit_exceeded', 'not_supported'].includes(code) ? error.type : typeOf(status),
      param: error.param,
      code: told.code ?? code,
      source: 'engine',
    },
  })
  return { error, status, envelope }
}

const typeOf = (status: number): string => (status < 500 ? 'invalid_request_error' : 'server_error')

/** Advice for whoever starts the engine by hand is none for whoever asks a hub. */
function forOwners(message: string | null): string | null {
  if (message === null || !/start it with `?--embeddings?`?/i.test(message)) return message
  return 'The engine has this model for text, and makes no embeddings with it. Ask a model that is made for embeddings.'
}

function codeFor(status: number, type: string | null, message: string | null): ErrorCode {
  if (
    type === 'exceed_context_size_error' ||
    /context (size|length)|exceeds? .*context/i.test(message ?? '')
  ) {
    return 'context_length_exceeded'
  }
  if (status === 503) return 'overloaded'
  if (status === 429) return 'rate_limit_exceeded'
  if (status === 501) return 'not_supported'
  if (status < 500) return 'invalid_parameter'
  return 'engine_failed'
}

interface ToldError {
  message: string | null
  type: string | null
  param: string | null
  code: string | null
}

/** Engines differ: an OpenAI envelope, `{"error":"text"}`, `{"message":…}`, FastAPI's `{"detail":…}`, or plain text. */
function readEngineError(body: Buffer): ToldError {
  const told: ToldError = { message: null, type: null, param: null, code: null }
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString('utf8'))
  } catch {
    return told
  }
  if (typeof parsed !== 'object' || parsed === null) return told
  const outer = parsed as Record<string, unknown>
  const inner = typeof outer.error === 'object' && outer.error !== null ? outer.error : outer
  const { message, type, param, code } = inner as Record<string, unknown>
  told.message = firstText(message, outer.error, outer.detail)?.slice(0, 2000) ?? null
  told.type = firstText(type)
  told.param = firstText(param)
  told.code = firstText(code)
  return told
}

function firstText(...values: unknown[]): string | null {
  for (const value of values) if (typeof value === 'string' && value !== '') return value
  return null
}

/** A connection that failed, by undici's code. */
export function fromConnection(cause: Error, died: string | null): HolonError {
  if (died !== null) {
    return new HolonError('engine_crashed', `The engine stopped while answering: ${withoutStop(died)}.`, {
      source: 'engine',
      cause,
    })
  }
  const code = (cause as { code?: unknown }).code
  return new HolonError(
    'engine_failed',
    `The connection to the engine broke (${String(code ?? cause.name)}).`,
    {
      source: 'engine',
      hint: 'Send the request again.',
      cause,
    },
  )
}

function withoutStop(sentence: string): string {
  return sentence.endsWith('.') ? sentence.slice(0, -1) : sentence
}

export function notBegun(): HolonError {
  return new HolonError('engine_timeout', 'The engine did not begin to answer in time.', { source: 'engine' })
}

export function wentSilent(): HolonError {
  return new HolonError('engine_timeout', 'The engine went silent in the middle of its answer.', {
    source: 'engine',
  })
}

export function cutShort(): HolonError {
  return new HolonError('engine_failed', 'The engine ended its answer before it was complete.', {
    source: 'engine',
    hint: 'Send the request again.',
  })
}
