import { HolonError } from '../../core/errors.ts'
import { commandLine } from '../../engines/llama-server/launch.ts'
import { llamaServerParameters } from '../../engines/llama-server/parameters.ts'
import { type Serving, serveLlama } from '../../engines/llama-server/serve.ts'
import { allottedThreads } from '../../engines/shared/allotted-threads.ts'
import type { ModelShape } from '../../engines/shared/model-shape.ts'
import type { EngineLease } from '../../protocol/lease.ts'
import type { PartSpec, PeerAddress, RunningPart } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import type { Wire } from '../wire/wire.ts'
import { AnswerProgress } from './answer-progress.ts'
import type { LlamaRpcBuild } from './inspect.ts'
import { deviceArguments, type HeadSettings } from './layout.ts'
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
    const { spec, settings, host, build, wire } = this.options
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
      args: this.commandLine(endpoints),
      env: {
        ...process.env,
        ...(spec.wire.mode === 'isolated' ? {} : noRdma),
      },
      home: host.home,
      onProgress,
      onLog: (line) => host.log.debug({ pool: spec.pool }, line),
      signal,
    })
    const progress = new AnswerProgress(serving, () => wire.bytes())
    this.progress = progress
    this.watch(serving.child)
    return this.runningPart(() => this.lease(serving, progress))
  }

  protected async look(): Promise<string | null> {
    return (await this.progress?.look()) ?? null
  }

  private commandLine(endpoints: readonly string[]): string[] {
    const { settings, spec, build, modelPath, shape } = this.options
    const { contextTokens, parallel } = settings
    const threads = settings.threads ?? allottedThreads()
    const { flags } = build.server
    const args = commandLine(flags, {
      ...{ modelId: spec.model, modelPath, parallel, threads, embedding: false },
      ...{ contextTokens, pooling: shape.pooling },
    })
    args.push(...deviceArguments(settings, shape.layers, endpoints))
    // Its own search for a fit would undo the plan.
    if (!args.includes('--fit') && flags.has('--fit')) args.push('--fit', 'off')
    // Its prompt cache, 8 GiB of this machine's memory by itself, would fetch the KV of far layers over the wire.
    if (flags.has('--cache-ram')) args.push('--cache-ram', '0')
    for (const { path, scale } of settings.lora) {
      if (path.includes(',')) {
        throw new HolonError(
          'pool_impossible',
          `The adapter's path ${path} holds a comma, which llama.cpp cannot read.`,
        )
      }
      args.push(...(scale === 1 ? ['--lora', path] : ['--lora-scaled', `${path}:${scale}`]))
    }
    return args
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
