/** The hub: endpoint, management API, page and books of a fleet, put together from its parts. */
import type { Server } from 'node:http'
import type { Server as TlsServer } from 'node:https'
import { getRequestListener } from '@hono/node-server'
import type { Certificate, CertificateFiles } from '../core/certificate.ts'
import type { Clock } from '../core/clock.ts'
import { HolonError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import type { PoolPolicy } from '../pool/controller/effects.ts'
import { poolEngines } from '../pool/index.ts'
import type { PoolEngine } from '../pool/pool-engine.ts'
import type { NodeHandle } from '../protocol/node.ts'
import { createApp } from './api/app.ts'
import { EventFeed } from './api/events.ts'
import { explainOperations } from './api/explain-operation.ts'
import { fleetOperations } from './api/operations.ts'
import { paceOperation } from './api/pace-operation.ts'
import { queueOperation } from './api/queue.ts'
import { advertise } from './auth/advertise.ts'
import { Gate } from './auth/gate.ts'
import { keyOperations } from './auth/key-operations.ts'
import { Keys } from './auth/keys.ts'
import { visibleTo } from './auth/visible-models.ts'
import { Catalogue } from './catalogue/catalogue.ts'
import { catalogueOperations } from './catalogue/operations.ts'
import { CertificateWatch } from './certificate.ts'
import { Dialects } from './dialects/dialects.ts'
import { createDoors } from './doors.ts'
import { changesSince, takePicture } from './fleet-changes.ts'
import type { AnswerRecord } from './gateway/answer-record.ts'
import { defaultLimits, Gateway, type GatewayLimits } from './gateway/gateway.ts'
import { isLoopback } from './host-check.ts'
import { LinkBook } from './links/link-book.ts'
import { listenOn } from './listen.ts'
import { Metrics } from './metrics.ts'
import { poolOperations } from './pools/operations.ts'
import { Pools } from './pools/pools.ts'
import { Fleet } from './registry/fleet.ts'
import { type LevelPolicy, Scheduler } from './scheduler/scheduler.ts'
import { KeyBook } from './store/key-book.ts'
import { LessonBook } from './store/lesson-book.ts'
import { RevisionWatch } from './store/revision-watch.ts'
import type { Subject } from './store/revisions.ts'
import { Store } from './store/store.ts'

export interface HubConfig {
  /** 127.0.0.1 unless asked otherwise; anything but loopback needs `apiKey` or a key in the books. */
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
  /** The owner's key (HOLON_API_KEY): with it nobody is let in without one. */
  apiKey?: string
  /** Serve TLS with this certificate, read anew when the files change. */
  tls?: CertificateFiles
  /** What happens when no machine keeps a lane's level: `effort` (default) serves as well as can be. */
  level?: LevelPolicy
  /** What the owner's own commands on this machine show; lets in, and closes nothing. */
  localKey?: string
  limits?: Partial<GatewayLimits>
}

export interface HubOptions {
  config: HubConfig
  nodes: readonly NodeHandle[]
  clock: Clock
  log: Log
  /** What to do next, for status and page; null when there is nothing to say. */
  advice?: () => string | null
  /** Other engines and limits than this version's, for tests. */
  pools?: { engines?: readonly PoolEngine[]; policy?: Partial<PoolPolicy> }
}

export interface Hub {
  /** @throws HolonError port_in_use, config_invalid, already_running */
  listen(): Promise<{ url: string }>
  /** Stops taking requests, lets the running ones end for `drainMs` (default 3 s), then ends them. Bounded. */
  close(drainMs?: number): Promise<void>
}

export function createHub(options: HubOptions): Hub {
  return new RunningHub(options)
}

class RunningHub implements Hub {
  private readonly options: HubOptions
  private readonly metrics = new Metrics()
  private readonly store: Store
  private readonly fleet: Fleet
  private readonly keyBook: KeyBook
  private readonly keys: Keys
  private readonly gate: Gate
  private readonly events: EventFeed
  private readonly catalogue: Catalogue
  private readonly scheduler: Scheduler
  private readonly lessons: LessonBook
  private readonly gateway: Gateway
  private readonly dialects: Dialects
  private readonly links: LinkBook
  private readonly pools: Pools
  private readonly revisions: RevisionWatch
  private server: Server | TlsServer | null = null
  private readonly certificates: CertificateWatch | null
  private readonly startedAt: number
  private url = ''
  private picture = takePicture([])
  private stops: (() => void | Promise<void>)[] = []
  private closing: Promise<void> | null = null

  constructor(options: HubOptions) {
    const { config, clock, log } = options
    this.options = options
    this.fleet = new Fleet(options.nodes, clock, log)
    const { nodes } = this.fleet
    this.startedAt = clock.now()
    this.store = new Store({ home: config.home, databaseUrl: config.databaseUrl, clock, log })
    this.keyBook = new KeyBook(this.store)
    this.keys = new Keys({
      book: this.keyBook,
      clock,
      log,
      loopback: isLoopback(config.host),
      ownerSecrets: [config.apiKey, config.localKey].filter((secret) => secret !== undefined),
      closed: config.apiKey !== undefined,
    })
    this.gate = new Gate({ store: this.store, fleet: this.fleet, version: config.version, clock, log })
    this.events = new EventFeed(this.fleet, clock)
    this.catalogue = new Catalogue({
      nodes,
      book: this.store.catalogue,
      clock,
      log,
      onChange: (type, data) => this.store.event(type, data),
    })
    this.fleet.subscribe((node) => this.catalogue.index.changed(node))
    this.scheduler = new Scheduler({ catalogue: this.catalogue, clock, level: config.level })
    this.lessons = new LessonBook({
      ...{ dir: this.store.dir, clock, log },
      learned: () => this.scheduler.learned(),
    })
    this.gateway = new Gateway({
      nodes,
      scheduler: this.scheduler,
      catalogue: this.catalogue,
      limits: { ...defaultLimits, ...config.limits },
      clock,
      log,
      gaps: (model) => this.metrics.gaps(model),
      onAnswer: (record) => this.keep(record),
      onResponse: (route, status) => this.metrics.response(route, status),
    })
    this.dialects = new Dialects({
      core: this.gateway.deps,
      catalogue: this.catalogue,
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
    this.links = new LinkBook(clock, log)
    this.pools = new Pools({
      fleet: this.fleet,
      catalogue: this.catalogue,
      links: this.links,
      book: this.store.pools,
      engines: options.pools?.engines ?? poolEngines,
      policy: options.pools?.policy,
      paceOf: (node, model) => this.scheduler.paceOf(node, model),
      clock,
      log,
      onEvent: (type, data) => this.store.event(type, data),
    })
    this.revisions = new RevisionWatch({
      store: this.store,
      clock,
      log,
      tell: (subject) => this.changedElsewhere(subject),
    })
    this.certificates =
      config.tls === undefined
        ? null
        : new CertificateWatch({
            files: config.tls,
            clock,
            log,
            onChange: ({ cert, key }) => (this.server as TlsServer | null)?.setSecureContext({ cert, key }),
          })
  }

  async listen(): Promise<{ url: string }> {
    const { host, port } = this.options.config
    const certificate = await this.certificates?.start()
    await this.store.start()
    try {
      const [lessons] = await Promise.all([this.lessons.read(), this.catalogue.load(), this.keys.load()])
      this.scheduler.recall(lessons)
      this.requireKeys()
      this.server = this.build(certificate)
      this.url = await listenOn(this.server, host, port)
    } catch (error) {
      this.certificates?.close()
      await this.store.close()
      throw error
    }
    this.revisions.start()
    this.lessons.keep()
    this.store.event('hub.started', { version: this.options.config.version, url: this.url })
    this.keepHistory()
    void this.pools.start()
    if (!isLoopback(host)) {
      // Machines will come; making a new database takes seconds that the first of them need not wait.
      this.gate.admissions.prepare()
      const { port: bound } = new URL(this.url)
      this.stops.push(
        advertise(
          Number(bound) || (certificate ? 443 : 80),
          certificate !== undefined,
          this.options.config.version,
          this.options.log,
        ),
      )
    }
    return { url: this.url }
  }

  close(drainMs = 3_000): Promise<void> {
    this.closing ??= this.shutDown(drainMs)
    return this.closing
  }

  private async shutDown(drainMs: number): Promise<void> {
    this.events.close()
    for (const stop of this.stops) void stop()
    const { server } = this
    if (server?.listening) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const force = setTimeout(() => server.closeAllConnections(), drainMs)
      // Answers come through the tunnels, so these end after them; and the server waits for every tunnel.
      await this.answered(drainMs)
      await this.pools.close()
      this.gate.close()
      await closed
      clearTimeout(force)
    }
    await this.pools.close()
    this.links.close()
    this.certificates?.close()
    this.revisions.close()
    this.dialects.close()
    this.catalogue.close()
    this.keys.close()
    this.gate.close()
    await this.gateway.close()
    await this.lessons.close()
    if (this.url !== '') this.store.event('hub.stopped', {})
    await this.store.close()
  }

  private requireKeys(): void {
    const { host } = this.options.config
    if (isLoopback(host) || this.keys.passable) return
    throw new HolonError(
      'config_invalid',
      `Listening on ${host} opens the hub to the network, which needs a key.`,
      {
        hint: 'Set HOLON_API_KEY to a long random string, or start on 127.0.0.1 first and make a key with `holon keys create`.',
      },
    )
  }

  /** Another hub on the same books changed something. */
  private async changedElsewhere(subject: Subject): Promise<void> {
    if (subject === 'keys') await this.keys.reload()
    else if (subject === 'nodes') await this.gate.admissions.reload()
    else await this.catalogue.load()
  }

  /** Resolves when no answer is under way, at the latest after `withinMs`. */
  private async answered(withinMs: number): Promise<void> {
    const end = performance.now() + withinMs
    const { admission } = this.gateway
    while (admission.totals().inFlight > 0 && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }

  private build(certificate: Certificate | undefined): Server | TlsServer {
    const { config, clock, log } = this.options
    const { nodes } = this.fleet
    const { admission } = this.gateway
    const management = fleetOperations({
      nodes,
      log,
      status: () => this.status(),
      usage: () => this.store.usage(),
      mayUse: (caller) => visibleTo(this.catalogue, caller),
      history: () => this.store.history(),
      find: (asked) => this.scheduler.look(asked, null),
    })
    const app = createApp({
      operations: [
        ...management,
        ...catalogueOperations(this.catalogue, () => this.gate.admissions.names()),
        ...explainOperations(this.scheduler),
        paceOperation({ nodes, catalogue: this.catalogue, scheduler: this.scheduler }),
        ...poolOperations(this.pools),
        ...this.gate.operations(),
        ...keyOperations({ keys: this.keys, book: this.keyBook, catalogue: this.catalogue }),
        queueOperation(admission, this.keys.ring, nodes),
      ],
      joining: {
        admissions: this.gate.admissions,
        clock,
        needsKey: () => this.keys.closed,
        mayApprove: (key) => this.keys.isAdmin(key),
      },
      nodes,
      log,
      metrics: this.metrics,
      assetsDir: config.assetsDir ?? null,
      version: config.version,
    })
    const server = createDoors(
      {
        host: config.host,
        keys: this.keys,
        knownHosts: new Set(),
        gateway: this.gateway,
        dialects: this.dialects,
        events: this.events,
        app: getRequestListener(app.fetch, { overrideGlobalObjects: false }),
      },
      certificate,
    )
    server.on('upgrade', this.gate.upgrade)
    return server
  }

  /** Nodes tell of every request that starts or ends: few comparisons serve many. */
  private keepHistory(): void {
    const { clock } = this.options
    let stopTimer: (() => void) | null = null
    const compare = () => {
      stopTimer = null
      const states = this.fleet.nodes.map((node) => node.state())
      for (const { type, data } of changesSince(this.picture, states)) this.store.event(type, data)
      this.picture = takePicture(states)
    }
    compare()
    const unsubscribe = this.fleet.subscribe(() => {
      stopTimer ??= clock.after(200, compare)
    })
    this.stops = [unsubscribe, () => stopTimer?.()]
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
    if (record.keyId !== null) this.keys.charge(record.keyId, record.promptTokens + record.completionTokens)
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
