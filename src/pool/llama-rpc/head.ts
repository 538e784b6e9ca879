import { HolonError } from '../../core/errors.ts'
import { llamaServerParameters } from '../../engines/llama-server/parameters.ts'
import { type Serving, serveLlama } from '../../engines/llama-server/serve.ts'
import type { ModelShape } from '../../engines/shared/model-shape.ts'
import type { EngineLease } from '../../protocol/lease.ts'
import type { PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import type { Wire } from '../wire/wire.ts'
import { AnswerProgress } from './answer-progress.ts'
import { headCommand } from './head-command.ts'
import type { LlamaRpcBuild } from './inspect.ts'
import type { HeadSettings } from './layout.ts'
import { LlamaPart, type StartOptions } from './part.ts'
import { noRdma } from './worker-process.ts'

export interface HeadPartOptions {
  spec: PartSpec
  settings: HeadSettings
  host: MemberHost
  build: LlamaRpcBuild
  wire: Wire
  modelPath: string
  shape: ModelShape
}

/** Reads the model, sends the workers their layers, and answers. */
export class HeadPart extends LlamaPart {
  private readonly options: HeadPartOptions
  private progress: AnswerProgress | null = null

  constructor(options: HeadPartOptions) {
    super(options.wire)
    this.options = options
  }

  protected async run(peers: readonly PeerAddress[], options: StartOptions): Promise<RunningPart> {
    const { spec, settings, host, build, wire, modelPath, shape } = this.options
    const { signal, onProgress = () => undefined } = options
    onProgress({ phase: 'joining the other members', percent: null, etaS: null })
    const workers = settings.workers.map(({ rank }) => peerOf(peers, rank))
    await wire.connect(workers, signal)
    const ways = await Promise.all(settings.workers.map(({ rank }) => wire.wayTo(rank, 'rpc')))
    const endpoints = ways.map((way) => `${way.host}:${way.port}`)
    const serving = await serveLlama({
      modelId: spec.model,
      embedding: false,
      binary: build.server.path,
      guard: this.guard,
      args: headCommand({
        ...{ settings, modelPath, shape, endpoints },
        ...{ modelId: spec.model, flags: build.server.flags },
      }),
      env: {
        ...process.env,
        ...(spec.wire.mode === 'isolated' ? {} : noRdma),
      },
      home: host.home,
      onProgress,
      onLog: (line) => host.log.debug({ pool: spec.pool }, line),
      signal,
    })
    const progress = new AnswerProgress(serving, () => wire.bytes(), { hangMs: host.hangMs })
    this.progress = progress
    this.watch(serving.child)
    signal.throwIfAborted()
    return this.runningPart(() => this.lease(serving, progress))
  }

  protected async look(): Promise<string | null> {
    return (await this.progress?.look()) ?? null
  }

  private lease({ origin, headers }: Serving, progress: AnswerProgress): EngineLease {
    const { spec, settings } = this.options
    progress.begin()
    let released = false
    return {
      model: spec.model,
      engine: 'llama-rpc',
      origin,
      headers,
      parameters: llamaServerParameters,
      parallel: settings.parallel,
      died: this.died,
      release: () => {
        if (!released) progress.end()
        released = true
      },
    }
  }
}

function peerOf(peers: readonly PeerAddress[], rank: number): PeerAddress {
  const peer = peers.find((each) => each.rank === rank)
  if (peer) return peer
  throw new HolonError('pool_wire_failed', `Nobody said where member ${rank} is.`)
}
