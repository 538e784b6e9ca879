/**
 * The way of one request: body, check, choice of a node, engine, turn, relay, books. Each step has its own file;
 * this one is their order, and what happens when one of them fails.
 */
import type { Clock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { EngineLease, NodeHandle } from '../../protocol/node.ts'
import { type Endpoint, type OpenAiRequest, requireHonoured } from '../../protocol/openai/index.ts'
import { type Demand, readDemand } from '../scheduler/demand.ts'
import type { Choice, Claim, Scheduler } from '../scheduler/scheduler.ts'
import type { Admission, Ticket } from './admission.ts'
import type { AnswerRecord } from './answer-record.ts'
import { watchDeath } from './death-watch.ts'
import { fromRefusal } from './engine-error.ts'
import { withModelName } from './engine-name.ts'
import type { Exchange } from './exchange.ts'
import { type Patience, queueUp, Wait } from './hold-engine.ts'
import type { BodyReader } from './read-body.ts'
import type { EngineTimeouts, Outcome, Relay } from './relay.ts'
import { BodyRelay } from './relay-body.ts'
import { StreamRelay } from './relay-stream.ts'
import { laneOf } from './routes.ts'
import type { StreamGaps } from './stream-gaps.ts'
import type { Upstreams } from './upstreams.ts'
import type { WaitingRoom } from './waiting-room.ts'

export interface AnswerDeps {
  nodes: readonly NodeHandle[]
  scheduler: Scheduler
  bodies: BodyReader
  admission: Admission
  upstreams: Upstreams
  room: WaitingRoom
  patience: Patience
  timeouts: EngineTimeouts
  clock: Clock
  gaps: (model: string) => StreamGaps
  /** Told of every request that reached a model, whatever came of it. */
  onAnswer: (record: AnswerRecord) => void
}

const paths: Record<Endpoint, string> = {
  chat: '/v1/chat/completions',
  completion: '/v1/completions',
  embedding: '/v1/embeddings',
}

/** A checked request, and what to send to an engine that honours these parameters. */
export interface Asked {
  request: OpenAiRequest
  /** In OpenAI's form, as parsed: looked at, never kept. */
  body: Record<string, unknown>
  /** Of the body as the client sent it; 0 when it did not say. */
  bytes: number
  bodyFor(honoured: ReadonlySet<string>): Buffer
}

/** Reads the body and uses it. Whatever is thrown is answered with the error envelope. Never rejects. */
export async function withBody(
  deps: AnswerDeps,
  exchange: Exchange,
  use: (body: Buffer) => Promise<unknown>,
): Promise<void> {
  let body: Buffer | null = null
  try {
    body = await deps.bodies.read(exchange.req)
    await use(body)
  } catch (error) {
    exchange.fail(asHolonError(error))
  } finally {
    if (body !== null) deps.bodies.release(body)
  }
}

/**
 * Answers with the engine's answer or its error; never rejects.
 * @returns the id of the model that answered
 * @throws HolonError when it cannot even be sent to a node
 */
export function answer(deps: AnswerDeps, exchange: Exchange, asked: Asked): Promise<string> {
  const { admission, scheduler } = deps
  const { request, body, bytes } = asked
  const { headers } = exchange.req
  exchange.lane = laneOf(headers)
  const session = headers['x-holon-session']
  const named = typeof session === 'string' ? session : undefined
  const demand = readDemand(request, body, bytes, named, prefixKey)
  const { id, lane, caller } = exchange
  const choice = scheduler.choose({ id, model: request.model, lane, demand, caller })
  const { node, model } = choice
  refuseWrongKind(request, model.id, model.embedding)
  exchange.node = headerSafe(node.name) ? node.name : node.id
  exchange.route = choice.route
  const ticket = queueUp(admission, exchange, node.id, model.id)
  return new Run(deps, exchange, request, choice, ticket).go(asked)
}

/** Lives as long as the process: hashes of prompts mean nothing outside it. */
const prefixKey = crypto.getRandomValues(new Int32Array(2)) as unknown as readonly [number, number]

function headerSafe(text: string): boolean {
  return /^[\x20-\x7e]{1,200}$/.test(text)
}

function refuseWrongKind(request: OpenAiRequest, model: string, embedding: boolean): void {
  if (!embedding || request.endpoint === 'embedding') return
  throw new HolonError('invalid_parameter', `"${model}" is an embedding model and generates no text.`, {
    param: 'model',
    hint: 'Send it to /v1/embeddings, or name another model.',
  })
}

/** The engine died between being held and being sent to. */
interface Stale {
  kind: 'stale'
}

/** Models that a tier is tried with for one request. */
const mostMoves = 8

/** One request at one node, tried at most twice. */
class Run {
  private readonly deps: AnswerDeps
  private readonly exchange: Exchange
  private readonly request: OpenAiRequest
  private readonly demand: Demand
  private node: NodeHandle
  private model: string
  private claim: Claim
  private ticket: Ticket
  /** Nodes that failed this request; made when one does. */
  private failed: Set<string> | null = null
  private moves = 0
  private readonly wait: Wait
  private engine = ''
  private retries = 0
  private error: HolonError | null = null
  private relay: Relay | null = null

  constructor(deps: AnswerDeps, exchange: Exchange, request: OpenAiRequest, choice: Choice, ticket: Ticket) {
    this.deps = deps
    this.exchange = exchange
    this.request = request
    this.demand = choice.demand
    this.node = choice.node
    this.model = choice.model.id
    this.claim = deps.scheduler.claim(choice)
    this.ticket = ticket
    this.wait = new Wait(exchange, request.stream, ticket, deps.room, deps.patience)
  }

  async go(asked: Asked): Promise<string> {
    try {
      for (;;) {
        const outcome = await this.attempt(asked)
        if (outcome === 'elsewhere' || this.shouldTryAgain(outcome)) {
          this.retries++
          continue
        }
        if (outcome.kind !== 'stale') this.conclude(outcome)
        break
      }
    } catch (thrown) {
      this.error = asHolonError(thrown)
      this.exchange.fail(this.error)
    } finally {
      this.wait.over()
      this.ticket.leave()
      const record = this.record()
      this.deps.scheduler.over(this.claim, record)
      this.deps.onAnswer(record)
    }
    return this.model
  }

  /** Engine, turn, relay. The lease is given back whatever happens. */
  private async attempt(asked: Asked): Promise<Outcome | Stale | 'elsewhere'> {
    let lease: EngineLease
    const begun = performance.now()
    try {
      lease = await this.wait.hold(this.node, this.model)
      this.held(lease, (performance.now() - begun) / 1000)
    } catch (thrown) {
      if (failsElsewhereToo(asHolonError(thrown)) || !this.moveOn(true)) throw thrown
      return 'elsewhere'
    }
    try {
      this.engine = lease.engine
      if (this.cannotDoIt(lease)) return 'elsewhere'
      const turn = this.wait.turn(lease.parallel)
      if (turn !== null) await turn
      if (this.exchange.gone) return { kind: 'gone' }
      // Died while this request waited for its turn: nothing was sent, so this is no retry.
      if (watchDeath(lease).reason !== null) return { kind: 'stale' }
      this.wait.sent()
      return await this.send(lease, asked.bodyFor(lease.parameters))
    } finally {
      lease.release(this.stats())
    }
  }

  /** Once after a break with nothing sent; a few times when the engine died before the request reached it. */
  private shouldTryAgain(outcome: Outcome | Stale): boolean {
    if (outcome.kind === 'stale') {
      if (this.retries < 3) return true
      throw new HolonError('engine_crashed', 'The engine keeps stopping before it can answer.', {
        source: 'engine',
      })
    }
    if (outcome.kind !== 'broken' || outcome.sent || !isWorthRetrying(outcome.error)) return false
    return this.moveOn(true) || this.retries === 0
  }

  /**
   * Whether the request goes to another model, because this one's engine does not honour what it asks. Only where the
   * caller left the model to the hub.
   * @throws HolonError unsupported_parameter
   */
  private cannotDoIt(lease: EngineLease): boolean {
    try {
      requireHonoured(this.request, lease.parameters, lease.engine)
      return false
    } catch (thrown) {
      if (this.claim.choice.tier === null || this.moves >= mostMoves || !this.moveOn(false)) throw thrown
      return true
    }
  }

  /** Gives the request to another node that has the model, or for a tier to another model; false when there is none. */
  private moveOn(nodeFailed: boolean): boolean {
    const { admission, scheduler } = this.deps
    const { exchange, demand } = this
    if (exchange.gone) return false
    if (nodeFailed) this.failed = new Set(this.failed).add(this.node.id)
    const { failed } = this
    try {
      const { id, lane, caller } = exchange
      const question = { id, model: this.request.model, lane, demand, caller, passed: failed ?? undefined }
      const choice = scheduler.choose(question)
      const { node, model, route } = choice
      const ticket = queueUp(admission, exchange, node.id, model.id)
      this.ticket.leave()
      scheduler.over(this.claim, null)
      this.claim = scheduler.claim(choice)
      this.wait.moveTo(ticket)
      this.node = node
      this.model = model.id
      this.ticket = ticket
      this.moves++
      exchange.node = headerSafe(node.name) ? node.name : node.id
      exchange.route = nodeFailed ? `${route}; after ${failed?.size} failed` : route
      return true
    } catch {
      return false
    }
  }

  private held(lease: EngineLease, seconds: number): void {
    this.deps.scheduler.held(this.claim, lease, seconds)
    const { exchange } = this
    const told = exchange.route ?? ''
    if (lease.route !== undefined && !told.endsWith(lease.route)) exchange.route = `${told}; ${lease.route}`
  }

  private send(lease: EngineLease, body: Buffer): Promise<Outcome> {
    const { exchange, request, deps } = this
    return new Promise((resolve) => {
      const death = watchDeath(lease)
      const settle = (outcome: Outcome) => {
        this.wait.over()
        resolve(outcome)
      }
      let relay: Relay
      if (request.stream) {
        const stream = new StreamRelay(exchange, death, deps, settle)
        stream.choices = request.n
        stream.gaps = deps.gaps(this.model)
        stream.onFirst = () => this.wait.over()
        relay = stream
      } else relay = new BodyRelay(exchange, death, deps, settle)
      this.relay = relay
      const named = withModelName(body, request.model, lease.model)
      const headers: Record<string, string> = {
        'content-type': 'application/json',
        ...lease.headers,
        'x-request-id': exchange.id,
      }
      const trace = exchange.req.headers.traceparent
      if (typeof trace === 'string') headers.traceparent = trace
      deps.upstreams
        .poolFor(lease)
        .dispatch({ path: paths[request.endpoint], method: 'POST', headers, body: named }, relay)
    })
  }

  private conclude(outcome: Outcome): void {
    if (outcome.kind === 'refused') {
      const { error, status, envelope } = fromRefusal(outcome.refusal)
      this.error = error
      this.exchange.refuse(error, status, envelope)
    } else if (outcome.kind === 'broken') {
      this.error = outcome.error
      this.exchange.fail(outcome.error)
    }
  }

  private stats() {
    const usage = this.relay?.measured.usage
    if (!usage) return undefined
    const { promptTokens, cachedTokens, completionTokens } = usage
    return {
      promptTokens,
      cachedTokens,
      completionTokens,
      prefillTokS: usage.prefillTokS,
      decodeTokS: usage.decodeTokS ?? this.measuredDecode(completionTokens),
    }
  }

  private measuredDecode(tokens: number): number | null {
    const measured = this.relay?.measured
    if (!this.request.stream || measured?.firstAt == null || measured.lastAt === null || tokens < 2)
      return null
    const seconds = (measured.lastAt - measured.firstAt) / 1000
    return seconds > 0 ? (tokens - 1) / seconds : null
  }

  private record(): AnswerRecord {
    const { exchange, request } = this
    const measured = this.relay?.measured
    const usage = measured?.usage
    const now = performance.now()
    const completionTokens = usage?.completionTokens ?? (measured ? Math.max(0, measured.events - 1) : 0)
    return {
      requestId: exchange.id,
      time: this.deps.clock.now(),
      endpoint: request.endpoint,
      model: this.model,
      node: this.node.id,
      engine: this.engine,
      status: exchange.gone && exchange.cutBy === null ? 499 : exchange.status,
      error: (exchange.cutBy ?? this.error)?.code ?? null,
      stream: request.stream,
      promptTokens: usage?.promptTokens ?? 0,
      cachedTokens: usage?.cachedTokens ?? 0,
      completionTokens,
      exactTokens: usage != null || this.error !== null,
      queueMs: (measured?.sentAt ?? now) - exchange.startedAt,
      ttftMs: request.stream && measured?.firstAt != null ? measured.firstAt - exchange.startedAt : null,
      durationMs: now - exchange.startedAt,
      prefillTokS: usage?.prefillTokS ?? null,
      decodeTokS: usage?.decodeTokS ?? this.measuredDecode(completionTokens),
      retries: this.retries,
      keyId: exchange.caller.keyId,
    }
  }
}

/**
 * Not the node's fault, or not worth the time of another: the client left, lost patience, or asked what none can do. A
 * request whose deadline had passed went on from node to node, and each began to load the model for nobody.
 */
const failsElsewhereToo = ({ code }: HolonError): boolean => elsewhereToo.has(code)
const elsewhereToo: ReadonlySet<string> = new Set([
  'bad_http',
  'model_loading',
  'deadline_exceeded',
  'invalid_parameter',
  'unsupported_parameter',
])

/** A broken connection may be a crash that the restarted engine gets over; a timeout would only be waited for twice. */
function isWorthRetrying(error: HolonError): boolean {
  return error.code === 'engine_crashed' || error.code === 'engine_failed'
}
