/** Which path means what on the OpenAI door. Base URLs are accepted with and without `/v1`. */
import type { IncomingMessage } from 'node:http'
import { HolonError } from '../../core/errors.ts'
import { type Lane, laneName, lanes } from '../../protocol/lane.ts'
import type { Endpoint } from '../../protocol/openai/index.ts'

export type Route =
  | { kind: 'answer'; endpoint: Endpoint; method: 'POST' }
  | { kind: 'models'; method: 'GET' }
  | { kind: 'model'; id: string; method: 'GET' }

const fixed = new Map<string, Route>()
const endpoints: [string, Route][] = [
  ['/chat/completions', { kind: 'answer', endpoint: 'chat', method: 'POST' }],
  ['/completions', { kind: 'answer', endpoint: 'completion', method: 'POST' }],
  ['/embeddings', { kind: 'answer', endpoint: 'embedding', method: 'POST' }],
  ['/models', { kind: 'models', method: 'GET' }],
]
for (const [path, route] of endpoints) {
  fixed.set(path, route)
  fixed.set(`/v1${path}`, route)
}
const oneModel = /^(?:\/v1)?\/models\/(.+)$/

/** The path of a request's URL, without query and without a slash at the end. */
export function pathOf(url: string): string {
  const query = url.indexOf('?')
  const path = query < 0 ? url : url.slice(0, query)
  return path.length > 1 && path.endsWith('/') ? path.slice(0, -1) : path
}

const experimental = '/v1/experimental/'

/**
 * `/v1/experimental/…` is `/v1/…` on the lane for experiments: from here on the request says so in its header, and every
 * door behind answers it as it answers the rest.
 * @throws HolonError invalid_parameter when the header names another lane
 */
export function enterLane(req: IncomingMessage): void {
  if (req.url === undefined || !req.url.startsWith(experimental)) return
  const asked = req.headers['x-holon-lane']
  if (asked !== undefined && asked !== 'experimental') {
    throw new HolonError(
      'invalid_parameter',
      'The path is on the lane "experimental", but x-holon-lane names another.',
      { param: 'x-holon-lane', hint: 'Leave the header out, or use the path without /experimental.' },
    )
  }
  req.headers['x-holon-lane'] = 'experimental'
  req.url = `/v1/${req.url.slice(experimental.length)}`
}

/** The lane a request asks for; production when it says nothing. @throws HolonError invalid_parameter */
export function laneOf(headers: IncomingMessage['headers']): Lane {
  const asked = headers['x-holon-lane']
  if (asked === undefined) return 'production'
  const known = laneName.safeParse(typeof asked === 'string' ? asked.trim().toLowerCase() : asked)
  if (known.success) return known.data
  throw new HolonError('invalid_parameter', `There is no lane "${String(asked).slice(0, 60)}".`, {
    param: 'x-holon-lane',
    hint: `The lanes are ${lanes.join(', ')}; without the header it is ${lanes[0]}.`,
  })
}

/** True for paths that the OpenAI door answers, be it with 404. */
export function isOpenAiPath(path: string): boolean {
  return path.startsWith('/v1/') || path === '/v1' || fixed.has(path) || oneModel.test(path)
}

/** @throws HolonError not_found, method_not_allowed */
export function findRoute(method: string, path: string): Route {
  const route = fixed.get(path) ?? modelRoute(path)
  if (route === null) throw unknownPath(path)
  if (method !== route.method && !(method === 'HEAD' && route.method === 'GET')) {
    throw new HolonError('method_not_allowed', `${method} is not allowed on ${path.slice(0, 100)}.`, {
      hint: `Use ${route.method}.`,
    })
  }
  return route
}

function modelRoute(path: string): Route | null {
  const match = oneModel.exec(path)
  if (!match) return null
  try {
    return { kind: 'model', id: decodeURIComponent(match[1]!), method: 'GET' }
  } catch {
    return null
  }
}

export function unknownPath(path: string): HolonError {
  const twice = /^\/v1\/v1\//.test(path)
  return new HolonError('not_found', `There is nothing at ${path.slice(0, 100)}.`, {
    hint: twice
      ? 'The path holds /v1 twice: set the base URL to end in /v1 once.'
      : 'The surfaces are /v1 (OpenAI), /v1/messages (Anthropic) and /api (Ollama); the rest is described by /openapi.json.',
  })
}
