/**
 * The one catalogue of errors. Every failure a person or a client can meet has a stable code, an HTTP status,
 * a type in OpenAI's sense and a hint that says what to do. Rooms add entries here, never ad-hoc errors.
 */

export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'server_error'

interface Entry {
  status: number
  type: ErrorType
  /** What to do about it. A function when the hint depends on the details. */
  hint?: string
}

export const catalogue = {
  // Requests
  invalid_json: { status: 400, type: 'invalid_request_error', hint: 'Send one JSON object as the body.' },
  invalid_utf8: { status: 400, type: 'invalid_request_error', hint: 'Encode the body as UTF-8.' },
  invalid_parameter: { status: 400, type: 'invalid_request_error' },
  missing_parameter: { status: 400, type: 'invalid_request_error' },
  unsupported_parameter: {
    status: 400,
    type: 'invalid_request_error',
    hint: 'Leave the parameter out, or use a model on an engine that honours it (`holon models`).',
  },
  body_too_large: { status: 413, type: 'invalid_request_error' },
  unsupported_media_type: {
    status: 415,
    type: 'invalid_request_error',
    hint: 'Send content-type: application/json.',
  },
  context_length_exceeded: {
    status: 400,
    type: 'invalid_request_error',
    hint: 'Shorten the messages, or load the model with a longer context (`holon load MODEL --context N`).',
  },
  bad_http: { status: 400, type: 'invalid_request_error', hint: 'Send a plain HTTP/1.1 request.' },
  headers_too_large: {
    status: 431,
    type: 'invalid_request_error',
    hint: 'Send at most 16 KiB of headers.',
  },
  request_timeout: {
    status: 408,
    type: 'invalid_request_error',
    hint: 'Send the whole request without pausing.',
  },
  invalid_api_key: {
    status: 401,
    type: 'authentication_error',
    hint: 'Send the key as `authorization: Bearer KEY`.',
  },
  key_not_allowed: {
    status: 403,
    type: 'permission_error',
    hint: 'Use another key, or have the owner of the hub make one that may (`holon keys create`).',
  },
  rate_limit_exceeded: {
    status: 429,
    type: 'rate_limit_error',
    hint: 'Try again after the seconds named in Retry-After.',
  },
  insufficient_quota: {
    status: 429,
    type: 'rate_limit_error',
    hint: 'Wait until the quota begins anew, or ask the owner of the hub for more.',
  },
  origin_refused: {
    status: 403,
    type: 'permission_error',
    hint: 'Call from the machine itself (http://127.0.0.1 or http://localhost), or without a browser.',
  },
  not_found: { status: 404, type: 'not_found_error' },
  method_not_allowed: { status: 405, type: 'invalid_request_error' },
  not_supported: { status: 501, type: 'invalid_request_error' },
  model_not_found: {
    status: 404,
    type: 'invalid_request_error',
    hint: 'List the models with GET /v1/models or `holon models`; get one with `holon pull`.',
  },
  overloaded: { status: 503, type: 'server_error', hint: 'Try again in a moment.' },
  level_not_kept: {
    status: 503,
    type: 'server_error',
    hint: 'Send it on the lane `research`, which promises no speed, or try again after the seconds named in Retry-After.',
  },
  deadline_exceeded: {
    status: 504,
    type: 'server_error',
    hint: 'Send it again with a later x-holon-deadline, or when `holon ps` shows fewer waiting.',
  },
  model_loading: {
    status: 503,
    type: 'server_error',
    hint: 'Try again after the seconds named in Retry-After.',
  },

  // Engines
  engine_failed: { status: 502, type: 'server_error' },
  engine_crashed: {
    status: 502,
    type: 'server_error',
    hint: 'The engine is being restarted; send the request again.',
  },
  engine_timeout: {
    status: 504,
    type: 'server_error',
    hint: 'Ask for a shorter answer or a shorter prompt, or use a faster model.',
  },
  engine_unavailable: {
    status: 503,
    type: 'server_error',
    hint: 'Run `holon doctor` to see which engines can run here.',
  },
  engine_install_failed: { status: 500, type: 'server_error' },
  model_load_failed: { status: 500, type: 'server_error' },
  model_too_big: {
    status: 507,
    type: 'server_error',
    hint: 'Choose a smaller quant or context: `holon plan MODEL` says what fits.',
  },

  // Joining a fleet
  join_token_invalid: {
    status: 401,
    type: 'authentication_error',
    hint: 'Make a new one on the hub with `holon nodes token`.',
  },
  join_token_used: {
    status: 409,
    type: 'authentication_error',
    hint: 'Each token admits one machine: make a new one on the hub with `holon nodes token`. If nobody of yours used it, look at `holon nodes audit`.',
  },
  join_denied: { status: 403, type: 'permission_error', hint: 'Ask the owner of the hub.' },
  join_rate_limited: { status: 429, type: 'rate_limit_error', hint: 'Wait as long as Retry-After says.' },
  join_expired: { status: 410, type: 'permission_error', hint: 'Run the command again for a new code.' },
  hub_not_found: {
    status: 404,
    type: 'not_found_error',
    hint: 'Name it: `holon join http://ADDRESS:4656`. A hub is seen only when it listens on the network (`holon up --host`).',
  },
  hub_unreachable: {
    status: 502,
    type: 'server_error',
    hint: 'Check that the hub runs, that its address is right and that it listens on the network (`holon up --host`).',
  },

  // Pools
  pool_impossible: { status: 400, type: 'invalid_request_error', hint: 'See `holon pool preview MODEL`.' },
  pool_not_found: { status: 404, type: 'invalid_request_error', hint: 'See `holon pool list`.' },
  pool_wire_failed: {
    status: 502,
    type: 'server_error',
    hint: 'Check that the members reach each other: `holon pool show NAME`.',
  },
  link_probe_failed: {
    status: 502,
    type: 'server_error',
    hint: 'Check the cable, the address and the firewall between the two machines.',
  },

  // The tunnel between hub and node
  tunnel_lost: {
    status: 502,
    type: 'server_error',
    hint: 'The node connects again by itself; send the request again.',
  },
  tunnel_refused: {
    status: 401,
    type: 'authentication_error',
    hint: 'Join again with `holon join HUB`.',
  },
  tunnel_revoked: {
    status: 403,
    type: 'permission_error',
    hint: 'Ask the owner of the hub; joining again needs a new approval.',
  },
  tunnel_identity_in_use: {
    status: 409,
    type: 'permission_error',
    hint: 'Stop the other agent, or give this machine its own identity with `holon logout` and `holon join HUB`.',
  },
  tunnel_version: { status: 426, type: 'invalid_request_error' },
  tunnel_rate_limited: { status: 429, type: 'rate_limit_error', hint: 'Wait as long as Retry-After says.' },
  tunnel_misbehaved: {
    status: 502,
    type: 'server_error',
    hint: 'If that node runs an unmodified Holon, please report it with the log.',
  },
  tunnel_handshake_invalid: {
    status: 400,
    type: 'invalid_request_error',
    hint: 'Connect with `holon join HUB`; a proxy between must pass the upgrade headers on.',
  },
  tunnel_request_invalid: { status: 400, type: 'invalid_request_error' },

  // State
  store_unavailable: {
    status: 503,
    type: 'server_error',
    hint: 'Usage is kept in the journal meanwhile; `holon doctor` says what is wrong with the store.',
  },

  // Files
  model_file_missing: {
    status: 404,
    type: 'invalid_request_error',
    hint: 'Pull it again with `holon pull`.',
  },
  model_file_invalid: {
    status: 422,
    type: 'invalid_request_error',
    hint: 'The file is damaged or is no GGUF: pull it again with `holon pull`.',
  },
  download_failed: {
    status: 502,
    type: 'server_error',
    hint: 'Run the same command again: it goes on where it stopped.',
  },
  checksum_mismatch: {
    status: 502,
    type: 'server_error',
    hint: 'The bytes differ from what the source promised. They were set aside; run the command again.',
  },
  disk_full: {
    status: 507,
    type: 'server_error',
    hint: 'Free some space, or set HOLON_HOME to a larger disk.',
  },

  // The machine and the command line
  already_running: {
    status: 409,
    type: 'invalid_request_error',
    hint: 'Stop it first, or use another HOLON_HOME.',
  },
  port_in_use: {
    status: 409,
    type: 'invalid_request_error',
    hint: 'Choose another with --port N or HOLON_PORT.',
  },
  not_running: { status: 503, type: 'server_error', hint: 'Start it with `holon up`.' },
  usage: { status: 400, type: 'invalid_request_error' },
  config_invalid: { status: 400, type: 'invalid_request_error' },
  internal: {
    status: 500,
    type: 'server_error',
    hint: 'This is a bug in Holon. Please report it with the log.',
  },
} as const satisfies Record<string, Entry>

export type ErrorCode = keyof typeof catalogue

export interface ErrorDetails {
  /** The request parameter at fault, when there is one. */
  param?: string
  /** Overrides the catalogue's hint when the situation allows a better one. */
  hint?: string
  /** Seconds after which trying again makes sense; becomes Retry-After. */
  retryAfterS?: number
  /** Who failed: Holon itself or the engine behind it. */
  source?: 'hub' | 'engine'
  /** Load progress, for `model_loading`. */
  loading?: { phase: string; percent: number | null; etaS: number | null }
  /** Response headers that tell more, such as how much of a limit is left. */
  headers?: Readonly<Record<string, string | number>>
  cause?: unknown
}

/** An error that a person is meant to read. `message` is one sentence that says what and why. */
export class HolonError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly type: ErrorType
  readonly hint: string | undefined
  readonly param: string | null
  readonly source: 'hub' | 'engine'
  readonly retryAfterS: number | undefined
  readonly loading: ErrorDetails['loading']
  readonly headers: ErrorDetails['headers']

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.name = 'HolonError'
    const entry: Entry = catalogue[code]
    this.code = code
    this.status = entry.status
    this.type = entry.type
    this.hint = details.hint ?? entry.hint
    this.param = details.param ?? null
    this.source = details.source ?? 'hub'
    this.retryAfterS = details.retryAfterS
    this.loading = details.loading
    this.headers = details.headers
  }
}

/** Any thrown value as a HolonError; unexpected ones become `internal` and keep their cause. */
export function asHolonError(thrown: unknown): HolonError {
  if (thrown instanceof HolonError) return thrown
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return new HolonError('internal', message, { cause: thrown })
}

export interface ErrorEnvelope {
  error: {
    message: string
    type: string
    param: string | null
    code: string | null
    source: 'hub' | 'engine'
  }
  loading?: { phase: string; percent: number | null; etaS: number | null }
}

/** OpenAI's error envelope: always all four keys, plus who failed. */
export function toEnvelope(error: HolonError): ErrorEnvelope {
  const message = error.hint ? `${error.message} ${error.hint}` : error.message
  const envelope: ErrorEnvelope = {
    error: { message, type: error.type, param: error.param, code: error.code, source: error.source },
  }
  if (error.loading) envelope.loading = error.loading
  return envelope
}
