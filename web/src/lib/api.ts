/**
 * Every address of the hub the page uses, and the one way an error of the API becomes a sentence for a person.
 */
import type { LoadProgress } from '../../../src/protocol/model.ts'

export const paths = {
  chat: '/v1/chat/completions',
  status: '/fleet/v1/status',
  nodes: '/fleet/v1/nodes',
  models: '/fleet/v1/models',
  ps: '/fleet/v1/ps',
  load: '/fleet/v1/models/load',
  unload: '/fleet/v1/models/unload',
  events: '/fleet/v1/events',
} as const

/** What went wrong, in the words of the API, or in ours when the API could not be asked. */
export class ApiError extends Error {
  /** The API's own code; `unreachable`, `stream_broken` and `not_understood` are the page's. */
  readonly code: string | null
  /** HTTP status; 0 when there was no answer. */
  readonly status: number
  readonly retryAfterS: number | null
  /** Set while the model is loading: trying again after `retryAfterS` makes sense. */
  readonly loading: LoadProgress | null

  constructor(
    message: string,
    details: {
      code?: string | null
      status?: number
      retryAfterS?: number | null
      loading?: LoadProgress | null
    } = {},
  ) {
    super(message)
    this.name = 'ApiError'
    this.code = details.code ?? null
    this.status = details.status ?? 0
    this.retryAfterS = details.retryAfterS ?? null
    this.loading = details.loading ?? null
  }
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A load progress from outside, or null when it is none. */
export function readProgress(value: unknown): LoadProgress | null {
  if (!isRecord(value)) return null
  const { phase, percent, etaS } = value
  return {
    phase: typeof phase === 'string' ? phase : 'loading',
    percent: typeof percent === 'number' ? Math.min(100, Math.max(0, percent)) : null,
    etaS: typeof etaS === 'number' && etaS >= 0 ? etaS : null,
  }
}

/** The error inside a body or a stream, or null when the value holds none. */
export function errorIn(value: unknown, status: number, retryAfterS: number | null = null): ApiError | null {
  if (!isRecord(value) || !isRecord(value.error)) return null
  const { message, code } = value.error
  return new ApiError(typeof message === 'string' && message !== '' ? message : statusSentence(status), {
    code: typeof code === 'string' ? code : null,
    status,
    retryAfterS,
    loading: readProgress(value.loading),
  })
}

/** Reads a refused response. Never throws: a body that is no JSON still gives a sentence. */
export async function readError(response: Response): Promise<ApiError> {
  const { status } = response
  const retryAfterS = Number.parseFloat(response.headers.get('retry-after') ?? '')
  const retry = Number.isFinite(retryAfterS) ? retryAfterS : null
  const body = await response.text().catch(() => '')
  try {
    const known = errorIn(JSON.parse(body), status, retry)
    if (known) return known
  } catch {
    // Not JSON: some proxy answered in the hub's place.
  }
  return new ApiError(statusSentence(status), { status, retryAfterS: retry })
}

function statusSentence(status: number): string {
  return `The hub answered with HTTP ${status} and no explanation.`
}

export function unreachable(): ApiError {
  return new ApiError('The hub does not answer. Is it still running? Start it with `holon up`.', {
    code: 'unreachable',
  })
}

export const isAbort = (thrown: unknown): boolean => thrown instanceof Error && thrown.name === 'AbortError'

/**
 * Asks the hub for JSON. What it means is for the caller to check. By the fetch it is given and no other: the browser's own
 * sends no key, and the buttons that used it were refused by every hub that wants one.
 * @throws ApiError for everything but an abort, which stays an AbortError.
 */
export async function askJson(
  path: string,
  options: { fetch: typeof fetch; body?: unknown; signal?: AbortSignal },
): Promise<unknown> {
  let response: Response
  try {
    response = await options.fetch(path, {
      ...(options.body === undefined
        ? {}
        : {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify(options.body),
          }),
      signal: options.signal ?? null,
    })
  } catch (thrown) {
    if (isAbort(thrown)) throw thrown
    throw unreachable()
  }
  if (!response.ok) throw await readError(response)
  try {
    return await response.json()
  } catch (thrown) {
    if (isAbort(thrown)) throw thrown
    throw new ApiError(`The hub's answer to ${path} was not JSON.`, {
      code: 'not_understood',
      status: response.status,
    })
  }
}

/** Starts loading and returns at once; the progress comes with the fleet's events. */
export const loadModel = (model: string, call: typeof fetch) =>
  askJson(paths.load, { fetch: call, body: { model, wait: false } })
export const unloadModel = (model: string, call: typeof fetch) =>
  askJson(paths.unload, { fetch: call, body: { model } })
