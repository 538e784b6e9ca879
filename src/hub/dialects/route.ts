/** What a route of a dialect is, and what all routes are given. */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import { type AnswerTeller, checkTranslated, type Translated } from '../../protocol/translation.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { View } from '../catalogue/list-models.ts'
import { type AnswerDeps, answer } from '../gateway/answer.ts'
import { laneOf } from '../gateway/routes.ts'
import type { DialectExchange, Manners } from './dialect-exchange.ts'

export interface DialectDeps {
  /** The gateway's core: bodies, admission, nodes, engines, books. */
  core: AnswerDeps
  /** What is offered, for the lists. */
  catalogue: Catalogue
  clock: Clock
  log: Log
  /** Holon's own version. */
  version: string
  /** Told of every response, with the route's name and the status. */
  onResponse: (route: string, status: number) => void
}

export interface DialectRoute {
  /** For the metrics; one of few. */
  name: string
  method: 'GET' | 'POST' | 'DELETE'
  /** An expression's groups are given to `run`, decoded. */
  path: string | RegExp
  manners: Manners
  /** Only requests that pass it; the path belongs to the OpenAI door otherwise. */
  when?: (req: IncomingMessage) => boolean
  /**
   * @param body the parsed JSON of a POST, null otherwise
   * @throws HolonError, which is answered in the dialect's own words
   */
  run(exchange: DialectExchange, body: unknown, ...groups: string[]): Promise<void>
}

/**
 * The one way of a translated request: checked, answered by the gateway's core, told in the dialect.
 * @returns the id of the model that answered
 */
export async function answerIn(
  core: AnswerDeps,
  exchange: DialectExchange,
  translated: Translated,
  teller: AnswerTeller,
): Promise<string> {
  const { request, bodyFor } = checkTranslated(translated)
  exchange.teller = teller
  return answer(core, exchange, {
    request,
    body: translated.body,
    bytes: Number(exchange.req.headers['content-length'] ?? 0),
    bodyFor: (honoured) => {
      teller.sent?.()
      return bodyFor(honoured)
    },
  })
}

/** The models as this client sees them. @throws HolonError invalid_parameter for a lane that there is not */
export function viewOf({ req, caller }: DialectExchange): View {
  return { lane: laneOf(req.headers), permitted: caller.models }
}
