/** A node in memory, in front of fake engines: it loads with progress, fails, and lets its engine die when told to. */
import { HolonError } from '../../src/core/errors.ts'
import type { LoadProgress, NodeModel } from '../../src/protocol/model.ts'
import type { AnswerStats, EngineLease, NodeHandle, NodeState } from '../../src/protocol/node.ts'

export const everyParameter = [
  'temperature', 'top_p', 'max_tokens', 'max_completion_tokens', 'n', 'stop', 'seed', 'logprobs', 'top_logprobs',
  'tools', 'tool_choice', 'parallel_tool_calls', 'response_format', 'stream_options', 'frequency_penalty',
  'presence_penalty', 'logit_bias', 'encoding_format', 'top_k', 'grammar', 'cache_prompt',
] // biome-ignore format: a list of words

export function aModel(id: string, more: Partial<NodeModel> = {}): NodeModel {
  return {
    id,
    path: `/models/${id}.gguf`,
    source: `/models/${id}.gguf`,
    format: 'gguf',
    architecture: 'llama',
    name: id,
    quant: 'Q4_0',
    paramsTotal: 1e9,
    sizeBytes: 6e8,
    contextMax: 4096,
    embedding: false,
    demo: false,
    problem: null,
    state: 'ready',
    progress: null,
    failure: null,
    ...more,
  }
}

export class FakeNode implements NodeHandle {
  readonly id: string
  readonly name: string
  private list: NodeModel[]
  parameters = new Set(everyParameter)
  parallel = 4
  origin: string
  /** Called by `acquire` of a model that is not ready; resolves when it is loaded. */
  loader: (report: (progress: LoadProgress) => void) => Promise<void> = async () => undefined
  /** Throws instead of a lease. */
  failure: HolonError | null = null
  held = 0
  acquired = 0
  readonly released: (AnswerStats | undefined)[] = []
  readonly loads: unknown[] = []
  private readonly listeners = new Set<() => void>()
  private die: (reason: string) => void = () => undefined
  private died: Promise<string>

  constructor(origin: string, models: NodeModel[] = [aModel('tiny')], id = 'node-1', name = 'studio') {
    this.id = id
    this.name = name
    this.origin = origin
    this.list = models
    this.died = new Promise((resolve) => {
      this.die = resolve
    })
  }

  /** A list put in place of another is told to whoever listens; a model changed in its place is not. */
  get models(): NodeModel[] {
    return this.list
  }

  set models(models: NodeModel[]) {
    this.list = models
    this.changed()
  }

  state(): NodeState {
    const ready = this.models.filter((model) => model.state === 'ready')
    return {
      id: this.id,
      name: this.name,
      state: 'ready',
      profile: null,
      engines: ['fake'],
      models: this.models,
      running: ready.map((model) => ({
        id: model.id,
        engine: 'fake',
        pid: null,
        state: 'ready',
        progress: null,
        contextTokens: 4096,
        parallel: this.parallel,
        threads: 1,
        memoryBytes: 1,
        active: this.held,
        decodeTokS: null,
        prefillTokS: null,
        loadedAt: 0,
        idleS: 0,
      })),
      memory: { budgetBytes: 1e10, usedBytes: 1e9 },
    }
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  changed(): void {
    for (const listener of this.listeners) listener()
  }

  async acquire(
    id: string,
    options: { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void },
  ): Promise<EngineLease> {
    const model = this.models.find((candidate) => candidate.id === id)
    if (!model) throw new HolonError('model_not_found', `no ${id}`)
    if (this.failure) throw this.failure
    this.acquired++
    if (model.state !== 'ready') {
      await this.loader((progress) => options.onProgress?.(progress))
      model.state = 'ready'
      this.changed()
    }
    if (options.signal.aborted) throw new Error('aborted')
    this.held++
    let open = true
    return {
      model: id,
      engine: 'fake',
      origin: this.origin,
      headers: { authorization: 'Bearer secret-of-this-launch' },
      parameters: this.parameters,
      parallel: this.parallel,
      died: this.died,
      release: (stats) => {
        if (!open) throw new Error('released twice')
        open = false
        this.held--
        this.released.push(stats)
      },
    }
  }

  /** The engine dies; the next lease is for its successor at `origin`. */
  kill(reason: string, origin = this.origin): void {
    const die = this.die
    this.origin = origin
    this.died = new Promise((resolve) => {
      this.die = resolve
    })
    die(reason)
  }

  async load(id: string, options: object): Promise<void> {
    this.loads.push({ id, ...options })
    if (this.failure) throw this.failure
    const model = this.models.find((candidate) => candidate.id === id)
    if (!model || model.state === 'ready') return
    await this.loader((progress) => {
      model.progress = progress
    })
    model.state = 'ready'
    model.progress = null
  }

  async unload(id: string): Promise<void> {
    const model = this.models.find((candidate) => candidate.id === id)
    if (model) Object.assign(model, { state: 'disk', kept: false })
    this.changed()
  }
}
