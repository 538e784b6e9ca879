/** The hub: endpoint, management API, page and books of a fleet, put together from its parts. */
import type { Server } from 'node:http'
import { getRequestListener } from '@hono/node-server'
import type { Clock } from '../core/clock.ts'
import { HolonError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { NodeHandle } from '../protocol/node.ts'
import { createApp } from './api/app.ts'
import { EventFeed } from './api/events.ts'
import { fleetOperations } from './api/operations.ts'
import { Dialects } from './dialects/dialects.ts'
import { createDoors } from './doors.ts'
import type { AnswerRecord } from './gateway/answer-record.ts'
import { defaultLimits, Gateway, type GatewayLimits } from './gateway/gateway.ts'
import { isLoopback } from './host-check.ts'
import { listenOn } from './listen.ts'
import { Metrics } from './metrics.ts'
import { Store } from './store/store.ts'

export interface HubConfig {
  /** 127.0.0.1 unless asked otherwise; anything but loopback needs `apiKey`. */
  host: string
  /** 0 lets the system choose. */
  port: number
  version: string
  /** Folder of the state (HOLON_HOME). */
  home: string
  /** PostgreSQL to keep the books in; without it an embedded database under `home`. */
  databaseUrl?: string
  /** The built page; without it `/` says how to build it. */
  assetsDir?: string
  apiKey?: string
  limits?: Partial<GatewayLimits>
}

export interface HubOptions {
  config: HubConfig
  nodes: readonly NodeHandle[]
  clock: Clock
  log: Log
  /** What to do next, for status and page; null when there is nothing to say. */
  advice?: () => string | null
}

export interface Hub {
  /** @throws HolonError port_in_use, config_invalid, already_running */
  listen(): Promise<{ url: string }>
  /** Stops taking requests, lets the running ones end for `drainMs` (default 3 s), then ends them. Bounded. */
  close(drainMs?: number): Promise<void>
}

/** @throws HolonError config_invalid */
export function createHub(options: HubOptions): Hub {
  const { config } = options
  if (!isLoopback(config.host) && !config.apiKey) {
    throw new HolonError(
      'config_invalid',
      `Listening on ${config.host} opens the hub to the network, which needs a key.`,
      {
        hint: 'Set HOLON_API_KEY to a long random string, or leave the host at 127.0.0.1.',
      },
    )
  }
  return new RunningHub(options)
}

class RunningHub implements Hub {
  private readonly options: HubOptions
  private readonly metrics = new Metrics()
  private readonly store: Store
  private readonly events: EventFeed
  private readonly gateway: Gateway
  private readonly dialects: Dialects
  private readonly server: Server
  private readonly startedAt: number
  private url = ''
  private closing: Promise<void> | null = null

  constructor(options: HubOptions) {
    const { config, nodes, clock, log } = options
    this.options = options
    this.startedAt = clock.now()
    this.store = new Store({ home: config.home, databaseUrl: config.databaseUrl, clock, log })
    this.events = new EventFeed(nodes, clock)
    this.gateway = new Gateway({
      nodes,
      limits: { ...defaultLimits, ...config.limits },
      clock,
      log,
      gaps: (model) => this.metrics.gaps(model),
      onAnswer: (record) => this.keep(record),
      onResponse: (route, status) => this.metrics.response(route, status),
    })
    this.dialects = new Dialects({
      core: this.gateway.deps,
      clock,
      log,
      version: config.version,
      onResponse: (route, status) => this.metrics.response(route, status),
    })
    const { admission, bodies } = this.gateway
    this.metrics.watch({
      inFlight: () => admission.totals().inFlight,
      waiting: () => admission.totals().waiting,
      bodyBytes: () => bodies.heldBytes,
    })
    this.server = this.build()
  }

  async listen(): Promise<{ url: string }> {
    const { host, port } = this.options.config
    await this.store.start()
    try {
      this.url = await listenOn(this.server, host, port)
    } catch (error) {
      await this.store.close()
      throw error
    }
    return { url: this.url }
  }

  close(drainMs = 3_000): Promise<void> {
    this.closing ??= this.shutDown(drainMs)
    return this.closing
  }

  private async shutDown(drainMs: number): Promise<void> {
    this.events.close()
    if (this.server.listening) {
      const closed = new Promise<void>((resolve) => this.server.close(() => resolve()))
      this.server.closeIdleConnections()
      const force = setTimeout(() => this.server.closeAllConnections(), drainMs)
      await closed
      clearTimeout(force)
    }
    this.dialects.close()
    await this.gateway.close()
    await this.store.close()
  }

  private build(): Server {
    const { config, nodes, log } = this.options
    const { admission } = this.gateway
    const operations = fleetOperations({
      nodes,
      log,
      status: () => this.status(),
      usage: () => this.store.usage(),
      busy: (node, model) => admission.busy(node, model),
    })
    const app = createApp({
      operations,
      nodes,
      log,
      metrics: this.metrics,
      assetsDir: config.assetsDir ?? null,
      version: config.version,
    })
    return createDoors({
      host: config.host,
      apiKey: config.apiKey ?? null,
      gateway: this.gateway,
      dialects: this.dialects,
      events: this.events,
      app: getRequestListener(app.fetch, { overrideGlobalObjects: false }),
    })
  }

  private status() {
    return {
      version: this.options.config.version,
      pid: process.pid,
      startedAt: this.startedAt,
      url: this.url,
      advice: this.options.advice?.() ?? null,
    }
  }

  /** Books of one answer. On the path of the answer's end, so each is cheap and none waits. */
  private keep(record: AnswerRecord): void {
    this.metrics.answer(record)
    this.store.record(record)
    if (!this.events.wanted) return
    this.events.publish({
      type: 'answer',
      requestId: record.requestId,
      model: record.model,
      node: record.node,
      status: record.status,
      promptTokens: record.promptTokens,
      completionTokens: record.completionTokens,
      ttftS: record.ttftMs === null ? null : record.ttftMs / 1000,
      decodeTokS: record.decodeTokS,
    })
  }
}
