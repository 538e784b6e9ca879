/** Errors in Anthropic's envelope. `code`, `param` and `source` are Holon's own, beside what Anthropic's clients read. */
import type { HolonError } from '../../core/errors.ts'

/** @returns what Anthropic's clients turn into an exception of their own, by status and type */
export function errorBody(error: HolonError, requestId: string): object {
  const body: Record<string, unknown> = {
    type: 'error',
    error: {
      type: typeFor(error.status),
      message: error.hint ? `${error.message} ${error.hint}` : error.message,
      code: error.code,
      param: error.param,
      source: error.source,
    },
    request_id: requestId,
  }
  if (error.loading) body.loading = error.loading
  return body
}

function typeFor(status: number): string {
  if (status === 401) return 'authentication_error'
  if (status === 403) return 'permission_error'
  if (status === 404) return 'not_found_error'
  if (status === 413) return 'request_too_large'
  if (status === 429) return 'rate_limit_error'
  if (status === 503) return 'overloaded_error'
  if (status === 504) return 'timeout_error'
  return status < 500 ? 'invalid_request_error' : 'api_error'
}
