/**
 * The doors of other dialects beside OpenAI's. Each request is translated, answered by the gateway's one core, and its
 * answer translated back: scheduling, queue, metering and cancelling are the same for all.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Caller } from '../auth/caller.ts'
import { withBody } from '../gateway/answer.ts'
import { discard, parseJson, withoutMark } from '../gateway/read-body.ts'
import { anthropicRoutes } from './anthropic.ts'
import { DialectExchange } from './dialect-exchange.ts'
import { OllamaDoor } from './ollama.ts'
import { responsesRoutes } from './responses.ts'
import type { DialectDeps, DialectRoute } from './route.ts'

/** Starts of the paths that only an expression knows; all others are looked up. */
const openEnded = /^(?:\/v1)?\/(?:responses|models)\/|^\/api\/blobs\//

export interface Match {
  route: DialectRoute
  groups: string[]
  /** False when another method is the right one. */
  allowed: boolean
}

export class Dialects {
  private readonly deps: DialectDeps
  private readonly fixed = new Map<string, DialectRoute[]>()
  private readonly others: DialectRoute[] = []
  private readonly ollama: OllamaDoor

  constructor(deps: DialectDeps) {
    this.deps = deps
    this.ollama = new OllamaDoor(deps)
    for (const route of [...anthropicRoutes(deps), ...this.ollama.routes, ...responsesRoutes(deps)]) {
      if (typeof route.path !== 'string') this.others.push(route)
      else this.fixed.set(route.path, [...(this.fixed.get(route.path) ?? []), route])
    }
  }

  /** The route of a request that is answered here, be it with an error; null when it belongs to another door. */
  find(path: string, req: IncomingMessage): Match | null {
    const routes = this.fixed.get(path) ?? (openEnded.test(path) ? this.others : null)
    if (routes === null) return null
    const method = req.method === 'HEAD' ? 'GET' : req.method
    let wrong: Match | null = null
    for (const route of routes) {
      const found = typeof route.path === 'string' ? [path] : route.path.exec(path)
      if (found === null || route.when?.(req) === false) continue
      const match = { route, groups: found.slice(1), allowed: route.method === method }
      if (match.allowed) return match
      wrong ??= match
    }
    return wrong
  }

  handle(match: Match, req: IncomingMessage, res: ServerResponse, caller: Caller): void {
    const { route, groups, allowed } = match
    const exchange = new DialectExchange(req, res, route.manners, caller)
    const done = () => this.deps.onResponse(route.name, exchange.gone ? 499 : exchange.status)
    this.run(exchange, route, groups, allowed).then(done, (error: unknown) => {
      // `run` never rejects; were it to, the client must still not hang.
      this.deps.log.error({ requestId: exchange.id, error }, 'a request failed in a way nobody foresaw')
      exchange.fail(asHolonError(error))
    })
  }

  close(): void {
    this.ollama.close()
  }

  /** An error from before the request was looked at (no key, a foreign page), in the words of the path's dialect. */
  envelope(path: string, req: IncomingMessage, error: HolonError): object | null {
    return this.find(path, req)?.route.manners.failure(error, newId('req')) ?? null
  }

  private async run(
    exchange: DialectExchange,
    route: DialectRoute,
    groups: string[],
    allowed: boolean,
  ): Promise<void> {
    const { req } = exchange
    if (allowed && route.method === 'POST') {
      await withBody(this.deps.core, exchange, async (bytes) => {
        await route.run(exchange, parseJson(withoutMark(bytes)), ...groups)
      })
      return
    }
    discard(req)
    try {
      if (!allowed) throw wrongMethod(req.method ?? 'GET', route.method)
      await route.run(exchange, null, ...groups.map(decoded))
    } catch (error) {
      exchange.fail(asHolonError(error))
    }
  }
}

function decoded(group: string): string {
  try {
    return decodeURIComponent(group)
  } catch {
    throw new HolonError('not_found', 'The path is not well-formed.')
  }
}

function wrongMethod(given: string, right: string): HolonError {
  return new HolonError('method_not_allowed', `${given} is not allowed here.`, { hint: `Use ${right}.` })
}
