/** Errors in Ollama's envelope: a sentence under `error`. The rest is Holon's own, beside what its clients read. */
import type { HolonError } from '../../core/errors.ts'

export function errorBody(error: HolonError): object {
  const message = error.hint ? `${error.message} ${error.hint}` : error.message
  const body: Record<string, unknown> = {
    error: message,
    code: error.code,
    param: error.param,
    source: error.source,
  }
  if (error.loading) body.loading = error.loading
  return body
}
