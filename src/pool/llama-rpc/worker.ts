import { HolonError } from '../../core/errors.ts'
import type { PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import type { Wire } from '../wire/wire.ts'
import { EarlyNo, speaksAsRead } from './early-no.ts'
import { type LlamaRpcBuild, workerThreads } from './inspect.ts'
import type { WorkerSettings } from './layout.ts'
import { LlamaPart, type StartOptions } from './part.ts'
import { cacheFolder, cacheLimitBytes, isKept, makeRoom, trimCache } from './weight-cache.ts'
import { startWorker } from './worker-process.ts'

export interface WorkerPartOptions {
  spec: PartSpec
  settings: WorkerSettings
  host: MemberHost
  build: LlamaRpcBuild
  wire: Wire
}

/** Holds layers for the head, and does what it says: its process believes whoever reaches it, so only the wire does. */
export class WorkerPart extends LlamaPart {
  private readonly options: WorkerPartOptions

  constructor(options: WorkerPartOptions) {
    super(options.wire)
    this.options = options
  }

  protected async run(_: readonly PeerAddress[], { signal, onProgress }: StartOptions): Promise<RunningPart> {
    const { settings, host, build, wire, spec } = this.options
    onProgress?.({ phase: 'starting the worker', percent: null, etaS: null })
    const keep = settings.cache && (await makeRoom(host.home, settings.limitBytes))
    const worker = await startWorker({
      binary: build.worker,
      guard: this.guard,
      host: wire.engineHost,
      devices: settings.devices,
      threads: settings.threads ?? workerThreads(),
      cache: keep ? cacheFolder(host.home) : null,
      rdma: spec.wire.mode === 'isolated',
      onLine: (line) => host.log.debug({ pool: spec.pool }, line),
      signal,
    })
    this.watch(worker.child)
    signal.throwIfAborted()
    if (worker.word.devices !== Math.max(1, settings.devices.length)) {
      throw new HolonError(
        'pool_impossible',
        `The plan counts on ${settings.devices.length} devices here, and the worker offers ${worker.word.devices}.`,
        { hint: 'Preview the pool again.' },
      )
    }
    const { protocol } = worker.word
    const hasWeights = (hash: string): boolean => keep && isKept(host.home, hash)
    const reader = speaksAsRead(protocol) ? () => new EarlyNo(hasWeights) : undefined
    wire.offer('rpc', worker.port, { oneAtATime: true, reader })
    return this.runningPart(null)
  }

  protected async look(): Promise<null> {
    return null
  }

  protected override async afterEnd(): Promise<void> {
    await trimCache(this.options.host.home, cacheLimitBytes)
  }
}
