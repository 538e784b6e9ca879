/** The OpenAI door: takes requests from node:http as they are and sends each on its way. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../../core/clock.ts'
import { asHolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { checkRequest } from '../../protocol/openai/index.ts'
import type { Caller } from '../auth/caller.ts'
import type { Catalogue } from '../catalogue/catalogue.ts'
import { describeModel, listModels } from '../catalogue/list-models.ts'
import type { Scheduler } from '../scheduler/scheduler.ts'
import { Admission } from './admission.ts'
import { type AnswerDeps, answer, withBody } from './answer.ts'
import type { AnswerRecord } from './answer-record.ts'
import { Exchange } from './exchange.ts'
import type { Patience } from './hold-engine.ts'
import { BodyReader, discard, parseJson, withoutMark } from './read-body.ts'
import type { EngineTimeouts } from './relay.ts'
import { findRoute, laneOf, pathOf, type Route } from './routes.ts'
import type { StreamGaps } from './stream-gaps.ts'
import { Upstreams } from './upstreams.ts'
import { WaitingRoom } from './waiting-room.ts'

export interface GatewayLimits extends Patience, EngineTimeouts {
  bodyBytes: number
  bodiesTogetherBytes: number
  maxWaiting: number
}

export const defaultLimits: GatewayLimits = {
  bodyBytes: 32 * 1024 * 1024,
  bodiesTogetherBytes: 256 * 1024 * 1024,
  maxWaiting: 512,
  streamHeadMs: 1_000,
  coldMs: 20_000,
  queueMs: 15 * 60_000,
  headersMs: 30 * 60_000,
  idleMs: 5 * 60_000,
}

export interface GatewayOptions {
  nodes: readonly NodeHandle[]
  catalogue: Catalogue
  scheduler: Scheduler
  limits: GatewayLimits
  clock: Clock
  log: Log
  gaps: (model: string) => StreamGaps
  onAnswer: (record: AnswerRecord) => void
  /** Told of every response of this door, with the route's name and the status. */
  onResponse: (route: string, status: number) => void
}

export class Gateway {
  readonly admission: Admission
  readonly bodies: BodyReader
  private readonly options: GatewayOptions
  /** The core that every dialect answers with. */
  readonly deps: AnswerDeps
  private readonly createdS: number

  constructor(options: GatewayOptions) {
    const { limits, clock } = options
    this.options = options
    this.createdS = Math.floor(clock.now() / 1000)
    this.admission = new Admission({ maxWaiting: limits.maxWaiting, now: () => performance.now() / 1000 })
    this.bodies = new BodyReader({ perRequest: limits.bodyBytes, together: limits.bodiesTogetherBytes })
    this.deps = {
      nodes: options.nodes,
      scheduler: options.scheduler,
      bodies: this.bodies,
      admission: this.admission,
      upstreams: new Upstreams(),
      room: new WaitingRoom(clock),
      patience: limits,
      timeouts: limits,
      clock,
      gaps: options.gaps,
      onAnswer: options.onAnswer,
    }
  }

  handle(req: IncomingMessage, res: ServerResponse, caller: Caller): void {
    const exchange = new Exchange(req, res, caller)
    let route: Route
    try {
      route = findRoute(req.method ?? 'GET', pathOf(req.url ?? '/'))
    } catch (error) {
      discard(req)
      exchange.fail(asHolonError(error))
      this.options.onResponse('unknown', exchange.status)
      return
    }
    if (route.kind !== 'answer') {
      discard(req)
      this.tellModels(exchange, route)
      this.options.onResponse(route.kind, exchange.status)
      return
    }
    const { endpoint } = route
    withBody(this.deps, exchange, (body) => {
      const bytes = withoutMark(body)
      const parsed = parseJson(bytes)
      const request = checkRequest(endpoint, parsed)
      return answer(this.deps, exchange, {
        request,
        body: parsed as Record<string, unknown>,
        bytes: bytes.length,
        bodyFor: () => bytes,
      })
    }).then(
      () => this.options.onResponse(endpoint, exchange.gone ? 499 : exchange.status),
      (error: unknown) => {
        // `withBody` never rejects; were it to, the client must still not hang.
        this.options.log.error({ requestId: exchange.id, error }, 'a request failed in a way nobody foresaw')
        exchange.fail(asHolonError(error))
      },
    )
  }

  private tellModels(exchange: Exchange, route: Route): void {
    const { catalogue } = this.options
    const permitted = exchange.caller.models
    try {
      const view = { lane: laneOf(exchange.req.headers), permitted }
      if (route.kind === 'model') {
        const model = describeModel(catalogue, this.createdS, route.id, view)
        exchange.sendJson(200, JSON.stringify(model))
      } else {
        const data = listModels(catalogue, this.createdS, view)
        exchange.sendJson(200, JSON.stringify({ object: 'list', data }))
      }
    } catch (error) {
      exchange.fail(asHolonError(error))
    }
  }

  async close(): Promise<void> {
    this.deps.room.close()
    await this.deps.upstreams.close()
  }
}
