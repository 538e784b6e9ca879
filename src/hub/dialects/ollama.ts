/** Ollama's door: chat, generate, embeddings, and the models as its clients list and describe them. */
import { createHash } from 'node:crypto'
import { HolonError } from '../../core/errors.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import {
  describeShown,
  errorBody,
  type OllamaRequest,
  OllamaTeller,
  psRow,
  readChat,
  readEmbed,
  readEmbeddings,
  readGenerate,
  tagRow,
} from '../../protocol/ollama/index.ts'
import { isObject } from '../../protocol/openai/checks.ts'
import { isTier } from '../../protocol/tier.ts'
import { type Caller, requireAdmin } from '../auth/caller.ts'
import { listModels, type ModelRow } from '../catalogue/list-models.ts'
import type { DialectExchange, Manners } from './dialect-exchange.ts'
import { choose } from './engine-call.ts'
import { KeepAlive } from './keep-alive.ts'
import { loadWithContext } from './load-model.ts'
import { answerIn, type DialectDeps, type DialectRoute } from './route.ts'

const manners: Manners = { failure: errorBody, idHeader: null }

/** The version of Ollama's API that is spoken here: clients compare it with what they need. */
export const ollamaApiVersion = '0.12.11'
/** What Ollama itself tells of a model that is kept for ever. */
const never = '2318-01-01T00:00:00Z'
/** How long a model that nobody said anything about is told to stay: what Ollama would do. */
const usualMs = 5 * 60_000

export class OllamaDoor {
  readonly routes: DialectRoute[]
  private readonly deps: DialectDeps
  private readonly keepAlive: KeepAlive
  private readonly since: string

  constructor(deps: DialectDeps) {
    const { nodes, admission } = deps.core
    this.deps = deps
    this.since = new Date(deps.clock.now()).toISOString()
    this.keepAlive = new KeepAlive({
      nodes,
      clock: deps.clock,
      log: deps.log,
      busy: (node, model) => admission.busy(node, model),
    })
    this.routes = [
      this.generating('chat', readChat),
      this.generating('generate', readGenerate),
      this.generating('embed', readEmbed),
      this.generating('embeddings', readEmbeddings),
      this.telling('tags', 'GET', ({ caller }) => ({ models: this.tags(caller) })),
      this.telling('ps', 'GET', ({ caller }) => ({ models: this.running(caller) })),
      this.telling('version', 'GET', () => ({ version: ollamaApiVersion, holon: deps.version })),
      this.telling('show', 'POST', (exchange, body) => this.show(exchange, body)),
      ...this.refused(),
    ]
  }

  close(): void {
    this.keepAlive.close()
  }

  private route(
    name: string,
    method: DialectRoute['method'],
    path: string | RegExp,
    run: DialectRoute['run'],
  ): DialectRoute {
    return { name: `ollama_${name}`, method, path, manners, run }
  }

  private generating(name: string, read: (body: unknown) => OllamaRequest): DialectRoute {
    return this.route(name, 'POST', `/api/${name}`, (exchange, body) => this.answer(exchange, read(body)))
  }

  private telling(
    name: string,
    method: 'GET' | 'POST',
    tell: (exchange: DialectExchange, body: unknown) => object,
  ): DialectRoute {
    return this.route(name, method, `/api/${name}`, async (exchange, body) => {
      exchange.sendJson(200, JSON.stringify(tell(exchange, body)), 'application/json; charset=utf-8')
    })
  }

  /** What an owner does with Holon's own commands, said clearly to those who try it here. */
  private refused(): DialectRoute[] {
    const hints: [string, DialectRoute['method'], string][] = [
      ['pull', 'POST', 'Get models with `holon pull MODEL`.'],
      ['push', 'POST', 'Holon publishes no models.'],
      ['create', 'POST', 'Put a GGUF file where Holon finds it, or get one with `holon pull MODEL`.'],
      ['copy', 'POST', 'A model has one name here.'],
      ['delete', 'DELETE', 'Remove the file of the model on its machine.'],
    ]
    const no = (what: string, hint: string) => async () => {
      throw new HolonError('not_supported', `Holon does not ${what} models over the Ollama API.`, { hint })
    }
    const blobs = no('create', 'Get models with `holon pull MODEL`.')
    return [
      ...hints.map(([name, method, hint]) => this.route(name, method, `/api/${name}`, no(name, hint))),
      this.route('blobs', 'POST', /^\/api\/blobs\/.+$/, blobs),
      this.route('blobs', 'GET', /^\/api\/blobs\/.+$/, blobs),
    ]
  }

  private async answer(exchange: DialectExchange, asked: OllamaRequest): Promise<void> {
    const { core, clock } = this.deps
    const { node, model, name } = this.find(exchange, asked.model)
    const times = { startedAt: exchange.startedAt, now: () => performance.now(), wall: () => clock.now() }
    const teller = new OllamaTeller(asked, times)
    exchange.teller = teller
    if (asked.translated === null) {
      await this.move(exchange, asked, node, model, teller)
      return
    }
    if (asked.contextTokens !== undefined) {
      await loadWithContext(core, exchange, {
        node,
        model,
        contextTokens: asked.contextTokens,
        stream: asked.stream,
      })
    }
    // The variant that has this context now; else which one answers is chosen with the whole request before it.
    const isFixed = asked.contextTokens !== undefined && !isTier(asked.model)
    asked.translated.body.model = isFixed ? model.id : name
    const answered = await answerIn(core, exchange, asked.translated, teller)
    this.keepAlive.used(answered, asked.keepAliveMs)
  }

  /** A request without a prompt loads the model, or with `keep_alive: 0` unloads it. */
  private async move(
    exchange: DialectExchange,
    asked: OllamaRequest,
    node: NodeHandle,
    model: NodeModel,
    teller: OllamaTeller,
  ): Promise<void> {
    if (asked.keepAliveMs === 0) {
      requireAdmin(exchange.caller, 'unload models')
      const holders = this.deps.core.nodes.filter((each) =>
        each.state().running.some((running) => running.id === model.id),
      )
      await Promise.all(holders.map((holder) => holder.unload(model.id)))
      exchange.sendJson(200, JSON.stringify(teller.moved('unload')))
      return
    }
    const { contextTokens, stream } = asked
    await loadWithContext(this.deps.core, exchange, { node, model, contextTokens, stream })
    this.keepAlive.used(model.id, asked.keepAliveMs)
    const done = JSON.stringify(teller.moved('load'))
    if (exchange.streaming) exchange.end(`${done}\n`)
    else exchange.sendJson(200, done)
  }

  /** Ollama's clients add `:latest` to a name without a tag. */
  private find(
    exchange: DialectExchange,
    asked: string,
  ): { node: NodeHandle; model: NodeModel; name: string } {
    const { core } = this.deps
    try {
      return { ...choose(core, exchange, asked), name: asked }
    } catch (error) {
      if (!asked.endsWith(':latest')) throw error
      const name = asked.slice(0, -':latest'.length)
      return { ...choose(core, exchange, name), name }
    }
  }

  /** What is offered, under the names that /v1/models has for it. */
  private tags(caller: Caller): object[] {
    return this.offered(caller).flatMap(({ id, holon }) => {
      const first = holon.variants[0]?.id
      const model = this.models().find((each) => each.id === first)
      return model ? [tagRow({ ...model, id }, digestOf(model), this.since)] : []
    })
  }

  private offered(caller: Caller): ModelRow[] {
    return listModels(this.deps.catalogue, 0, { permitted: caller.models })
  }

  private models(): NodeModel[] {
    return this.deps.core.nodes.flatMap((node) => {
      const { state, models } = node.state()
      return state === 'gone' ? [] : models
    })
  }

  private running(caller: Caller): object[] {
    const rows = this.offered(caller)
    return this.deps.core.nodes.flatMap((node) => {
      const { models, running, profile } = node.state()
      const onGpu = (profile?.gpus.length ?? 0) > 0
      return running.flatMap((each) => {
        const model = models.find((candidate) => candidate.id === each.id)
        if (!model || each.state !== 'ready') return []
        const row = rows.find(({ holon }) => holon.variants.some(({ id }) => id === model.id))
        if (row === undefined && caller.models !== null) return []
        const named = { ...model, id: row?.id ?? model.id }
        return [psRow(named, each, digestOf(model), this.expiry(model.id), onGpu)]
      })
    })
  }

  private expiry(model: string): string {
    const at = this.keepAlive.expiresAt(model)
    if (at !== null) return new Date(at).toISOString()
    return this.keepAlive.keeps(model) ? never : new Date(this.deps.clock.now() + usualMs).toISOString()
  }

  private show(exchange: DialectExchange, body: unknown): object {
    const asked = isObject(body) ? (body.model ?? body.name) : undefined
    if (typeof asked !== 'string' || asked === '') {
      throw new HolonError('missing_parameter', 'The parameter "model" is missing.', { param: 'model' })
    }
    return describeShown(this.find(exchange, asked).model, this.since)
  }
}

/** Ollama's clients want one to tell versions of a model apart. Holon keeps none, so it is made of what tells them apart. */
function digestOf(model: NodeModel): string {
  return createHash('sha256').update(`${model.id}\n${model.source}\n${model.sizeBytes}`).digest('hex')
}
