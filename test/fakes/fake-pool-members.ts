/**
 * Machines that take part in pools, in this process: a real PoolMember each, in front of a fake engine. They keep the
 * contract's promises (one part per engine at a time, parts that end with their stop) and break on demand:
 *
 * | fault              | what happens                                                              |
 * |--------------------|---------------------------------------------------------------------------|
 * | `whyNot`           | says that it cannot take part                                             |
 * | `silent`           | never answers what it brings                                              |
 * | `refuseOpen`       | cannot open its end of the wire                                           |
 * | `failStart`        | opens, and fails while it starts                                          |
 * | `hangStart`        | opens, and never says that it started                                     |
 * | `hangStop`         | never confirms its end                                                    |
 * | `breakDown(reason)` | its part ends by itself; as with llama.cpp a worker takes the head with it |
 * | `leave()`          | the machine is gone: its part ends without a word                         |
 */
import { HolonError } from '../../src/core/errors.ts'
import type { PoolEngine } from '../../src/pool/pool-engine.ts'
import type { ModelHeader } from '../../src/protocol/model-header.ts'
import type { NodeState } from '../../src/protocol/node.ts'
import type {
  LinkProbe,
  MemberFacts,
  NetworkInterface,
  OpenPart,
  PartSpec,
  PeerAddress,
  PoolMember,
  RunningPart,
} from '../../src/protocol/pool.ts'
import { everyParameter, FakeNode } from '../hub/fake-node.ts'
import { aProfile } from '../support/profiles.ts'

export const fakePoolEngine: PoolEngine = {
  id: 'llama-rpc',
  title: 'fake RPC',
  concurrent: true,
  workersFirst: true,
  layout: (plan) => plan.members.map(({ layers }, rank) => ({ rank, layers })),
  inspect: () => Promise.reject(new Error('the members of the tests inspect themselves')),
  open: () => Promise.reject(new Error('the members of the tests open their own parts')),
}

export interface Faults {
  whyNot: string | null
  silent: boolean
  refuseOpen: boolean
  failStart: boolean
  hangStart: boolean
  hangStop: boolean
}

const noFaults: Faults = {
  whyNot: null,
  silent: false,
  refuseOpen: false,
  failStart: false,
  hangStart: false,
  hangStop: false,
}

interface LivePart {
  spec: PartSpec
  started: boolean
  die(reason: string): void
}

/** Members that know each other's parts, as machines on one wire do. */
export class FakeSite {
  readonly members: FakeMachine[] = []
  /** What happened, for the order of things. */
  readonly journal: string[] = []

  add(machine: FakeMachine): FakeMachine {
    this.members.push(machine)
    return machine
  }

  headOf(launch: string): LivePart | undefined {
    return (
      this.members
        .map(({ part }) => part)
        .find((part) => part?.spec.launch === launch && part.spec.rank === 0) ?? undefined
    )
  }

  get openParts(): number {
    return this.members.filter(({ part }) => part !== null).length
  }
}

export interface MachineOptions {
  memoryBytes: number
  header?: ModelHeader
  hasModel?: boolean
  build?: string
  interfaces?: NetworkInterface[]
  diskFreeBytes?: number
}

export class FakeMachine extends FakeNode {
  readonly faults: Faults = { ...noFaults }
  readonly site: FakeSite
  readonly options: MachineOptions
  present = true
  part: LivePart | null = null
  /** What a probe from here finds; the interface it leaves by is the first one, unless said otherwise. */
  probed: Partial<LinkProbe> = {}
  opened = 0
  readonly pool: PoolMember = {
    inspect: (question) => this.inspect(question.model),
    open: (spec, signal) => this.open(spec, signal),
    awaitProbe: async () => ({ port: 40_000 }),
    probe: async ({ host }) => this.probe(host),
  }

  constructor(
    site: FakeSite,
    origin: string,
    id: string,
    models: FakeNode['models'],
    options: MachineOptions,
  ) {
    super(origin, models, id, `${id}-mac`)
    this.site = site
    this.options = options
    site.add(this)
  }

  override state(): NodeState {
    const { memoryBytes } = this.options
    return {
      ...super.state(),
      state: this.present ? 'ready' : 'gone',
      profile: aProfile('m4-max-40c', memoryBytes, this.name),
      memory: { budgetBytes: memoryBytes, usedBytes: 0 },
    }
  }

  /** Alone it takes no more than it has memory for, as a real agent. */
  override acquire(id: string, options: Parameters<FakeNode['acquire']>[1]): ReturnType<FakeNode['acquire']> {
    const { sizeBytes } = this.models.find((model) => model.id === id) ?? { sizeBytes: 0 }
    if (sizeBytes <= this.options.memoryBytes) return super.acquire(id, options)
    return Promise.reject(new HolonError('model_too_big', `${id} does not fit the memory of ${this.name}.`))
  }

  breakDown(reason: string): void {
    this.part?.die(reason)
  }

  leave(): void {
    this.present = false
    this.part?.die(`the way to ${this.name} ended`)
    this.changed()
  }

  comeBack(): void {
    this.present = true
    this.changed()
  }

  private inspect(model: string): Promise<MemberFacts> {
    if (this.faults.silent) return new Promise(() => undefined)
    const { memoryBytes, header, hasModel, build, interfaces, diskFreeBytes } = this.options
    return Promise.resolve({
      whyNot: this.faults.whyNot,
      build: build ?? 'fake 1.0 rpc 7',
      devices: ['CPU'],
      modelPath: hasModel ? `/models/${model}.gguf` : null,
      modelBytes: hasModel ? (header?.weights.total ?? null) : null,
      diskFreeBytes: diskFreeBytes ?? 1e12,
      memory: { budgetBytes: memoryBytes, usedBytes: 0 },
      interfaces: interfaces ?? [ethernet(`10.0.0.${this.site.members.indexOf(this) + 1}`)],
      header: hasModel ? header : null,
    })
  }

  private async open(spec: PartSpec, signal: AbortSignal): Promise<OpenPart> {
    signal.throwIfAborted()
    this.opened++
    this.site.journal.push(`open ${this.id}`)
    if (this.faults.refuseOpen)
      throw new HolonError('pool_wire_failed', 'The port of the worker is held by another program.')
    if (this.part)
      throw new HolonError('pool_wire_failed', `${this.name} runs a part of ${this.part.spec.pool} already.`)
    let die: (reason: string) => void = () => undefined
    const died = new Promise<string>((resolve) => {
      die = resolve
    })
    const part: LivePart = {
      spec,
      started: false,
      die: (reason) => {
        if (this.part !== part) return
        this.part = null
        this.site.journal.push(`died ${this.id}`)
        die(reason)
        if (spec.rank > 0) this.site.headOf(spec.launch)?.die('the head lost a worker and aborted')
      },
    }
    this.part = part
    return {
      listening: { host: spec.wire.host ?? '127.0.0.1', port: 41_000 + spec.rank },
      died,
      start: (peers, options) => this.startPart(part, peers, options),
      stop: async () => {
        if (this.faults.hangStop) await new Promise(() => undefined)
        if (this.part === part) this.part = null
        this.site.journal.push(`stop ${this.id}`)
      },
    }
  }

  private async startPart(
    part: LivePart,
    peers: readonly PeerAddress[],
    { signal, onProgress }: Parameters<OpenPart['start']>[1],
  ): Promise<RunningPart> {
    const { rank, size } = part.spec
    if (peers.length !== size - 1) throw new Error(`${this.id} hears of ${peers.length} peers of ${size - 1}`)
    this.site.journal.push(`start ${this.id}`)
    if (this.faults.failStart)
      throw new HolonError('model_load_failed', 'The engine gave up while it read the weights.')
    onProgress?.({ phase: 'reading weights', percent: 50, etaS: 1 })
    if (this.faults.hangStart) await new Promise((_, reject) => signal.addEventListener('abort', reject))
    part.started = true
    return { memoryBytes: 1e9, lease: rank === 0 ? () => this.leaseOf(part) : null }
  }

  private leaseOf(part: LivePart) {
    return {
      model: part.spec.model,
      engine: 'llama-rpc',
      origin: this.origin,
      headers: {},
      parameters: new Set(everyParameter),
      parallel: 4,
      died: new Promise<string>(() => undefined),
      release: () => undefined,
    }
  }

  private probe(host: string): LinkProbe {
    const [first] = this.options.interfaces ?? [ethernet(host)]
    return {
      via: first as NetworkInterface,
      throughputBytesS: 117e6,
      rttMs: 0.3,
      jitterMs: 0.1,
      ...this.probed,
    }
  }
}

export function ethernet(address: string, more: Partial<NetworkInterface> = {}): NetworkInterface {
  return { name: 'en0', address, prefix: 24, kind: 'ethernet', lineBitS: 1e9, ...more }
}
