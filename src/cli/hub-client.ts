import { catalogue, type ErrorCode, HolonError } from '../core/errors.ts'
import { tlsProblem } from '../core/tls-problem.ts'

/** How commands speak to a running hub. */
export interface HubClient {
  readonly url: string
  get<T>(path: string): Promise<T>
  post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T>
  /** The raw response, for streams. A refusal becomes a HolonError here too. */
  open(path: string, body: unknown, signal: AbortSignal): Promise<Response>
}

export function createHubClient(url: string, apiKey: string | null, call: typeof fetch = fetch): HubClient {
  const headers = {
    'content-type': 'application/json',
    ...(apiKey === null ? {} : { authorization: `Bearer ${apiKey}` }),
  }
  const send = async (path: string, init: RequestInit): Promise<Response> => {
    let response: Response
    try {
      response = await call(`${url}${path}`, { ...init, headers })
    } catch (cause) {
      if (init.signal?.aborted) throw cause
      const tls = tlsProblem(cause)
      if (tls) throw new HolonError('hub_unreachable', `${url} ${tls.what}.`, { hint: tls.hint, cause })
      throw new HolonError('not_running', `No hub answers at ${url}.`, { cause })
    }
    if (!response.ok) throw await refusal(response)
    return response
  }
  return {
    url,
    get: async (path) => (await send(path, {})).json() as Promise<never>,
    post: async (path, body, signal) =>
      (await send(path, { method: 'POST', body: JSON.stringify(body), signal })).json() as Promise<never>,
    open: (path, body, signal) => send(path, { method: 'POST', body: JSON.stringify(body), signal }),
  }
}

/** The hub's own error envelope, back as the error it was. The hint is already part of its message. */
async function refusal(response: Response): Promise<HolonError> {
  const body = (await response.json().catch(() => null)) as {
    error?: { message?: string; code?: string }
  } | null
  const code = body?.error?.code
  const known: ErrorCode = code && code in catalogue ? (code as ErrorCode) : 'internal'
  const hint = known === 'invalid_api_key' ? 'Set HOLON_API_KEY to a key of this hub (`holon keys`).' : ''
  return new HolonError(known, body?.error?.message ?? `The hub answered ${response.status}.`, { hint })
}
