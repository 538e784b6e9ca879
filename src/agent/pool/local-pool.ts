/**
 * What this machine does for pools. It lends its engines, one pool at a time, within its memory; whatever it opened ends
 * with it, with the hub's stream, or when it is told to.
 */
import { networkInterfaces } from 'node:os'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { Home } from '../../core/home.ts'
import type { Log } from '../../core/log.ts'
import { formatBytes } from '../../core/units.ts'
import { poolEngine, poolEngines } from '../../pool/index.ts'
import { awaitProbe } from '../../pool/links/await-probe.ts'
import { probe } from '../../pool/links/probe.ts'
import { readModelHeader } from '../../pool/model-header.ts'
import type { MemberHost, PoolEngine } from '../../pool/pool-engine.ts'
import type { RunningModel } from '../../protocol/model.ts'
import type {
  LinkProbe,
  MemberFacts,
  OpenPart,
  PartSpec,
  PoolEngineId,
  PoolMember,
} from '../../protocol/pool.ts'
import { LocalWeights } from '../pool-weights/local-weights.ts'
import { HeldPart } from './held-part.ts'
import { promisedBytes } from './promised-bytes.ts'

export interface LocalPoolOptions {
  home: Home
  log: Log
  /** A model on this machine, by its id. */
  findModel: MemberHost['findModel']
  memory: MemberHost['memory']
  attached?: MemberHost['attached']
  attachedModel?: MemberHost['attachedModel']
  hangMs?: MemberHost['hangMs']
  clock: Clock
  /** Something of what `running` tells has changed. */
  changed(): void
  engines?: readonly PoolEngine[]
}

const tellMs = 5_000

/** Engines whose processes run here; the others only speak to a cluster that is already there. */
const takesTheMachine: ReadonlySet<PoolEngineId> = new Set(['llama-rpc', 'mlx', 'vllm'])

export class LocalPool implements PoolMember {
  readonly weights: LocalWeights
  private readonly options: LocalPoolOptions
  private readonly engines: readonly PoolEngine[]
  private readonly parts = new Map<string, HeldPart>()
  private readonly closing = new AbortController()
  private cancelTelling: () => void = () => undefined

  constructor(options: LocalPoolOptions) {
    this.options = options
    this.engines = options.engines ?? poolEngines
    this.weights = new LocalWeights(options)
  }

  async inspect({ engine, model }: { engine: PoolEngineId; model: string }): Promise<MemberFacts> {
    const facts = await poolEngine(engine, this.engines).inspect(this.options, model)
    const header = facts.modelPath === null ? null : await readModelHeader(facts.modelPath)
    return { ...facts, header }
  }

  async open(spec: PartSpec, signal: AbortSignal): Promise<OpenPart> {
    const engine = poolEngine(spec.engine, this.engines)
    demandOwnAddress(spec)
    await this.parts.get(spec.pool)?.stop()
    this.closing.signal.throwIfAborted()
    signal.throwIfAborted()
    this.demandPlace(spec)
    const either = AbortSignal.any([signal, this.closing.signal])
    const part = new HeldPart(spec, engine.open(spec, this.options, either), {
      changed: () => this.options.changed(),
      gone: () => {
        if (this.parts.get(spec.pool) === part) this.parts.delete(spec.pool)
        this.options.changed()
      },
      now: () => this.options.clock.now(),
    })
    this.parts.set(spec.pool, part)
    this.options.changed()
    this.keepTelling()
    await part.opened()
    return part
  }

  async awaitProbe(at: { host: string; secret: string }, signal: AbortSignal): Promise<{ port: number }> {
    demandOwn(at.host)
    return awaitProbe(at, AbortSignal.any([signal, this.closing.signal]))
  }

  probe(to: { host: string; port: number; secret: string }, signal: AbortSignal): Promise<LinkProbe> {
    return probe(to, AbortSignal.any([signal, this.closing.signal]))
  }

  /** Bytes that parts hold or were promised: no model of the agent's own may count on them. */
  heldBytes(): number {
    let sum = 0
    for (const part of this.parts.values()) sum += part.heldBytes
    return sum
  }

  running(): RunningModel[] {
    return [...this.parts.values()].map((part) => part.describe())
  }

  async close(): Promise<void> {
    this.closing.abort(new HolonError('engine_unavailable', 'This machine is stopping.'))
    this.cancelTelling()
    await Promise.all([...this.parts.values()].map((part) => part.stop()))
  }

  /** Memory changes without an event. */
  private keepTelling(): void {
    this.cancelTelling()
    this.cancelTelling = this.options.clock.after(tellMs, () => {
      if (this.parts.size === 0) return
      this.options.changed()
      this.keepTelling()
    })
  }

  private demandPlace(spec: PartSpec): void {
    for (const { spec: held } of this.parts.values()) {
      if (held.pool === spec.pool || !takesTheMachine.has(held.engine) || !takesTheMachine.has(spec.engine))
        continue
      throw new HolonError('pool_impossible', `This machine is a member of pool ${held.pool} already.`, {
        hint: `Remove that pool (\`holon pool remove ${held.pool}\`) or leave this machine out of ${spec.pool}.`,
      })
    }
    const { budgetBytes, usedBytes } = this.options.memory()
    const needed = promisedBytes(spec)
    if (needed <= budgetBytes - usedBytes) return
    throw new HolonError(
      'model_too_big',
      `The pool's part needs ${formatBytes(needed)} here, and ${formatBytes(Math.max(0, budgetBytes - usedBytes))} of this machine's budget are free.`,
      { hint: 'Unload models here (`holon unload`), or preview the pool again.' },
    )
  }
}

/** @throws HolonError pool_wire_failed: only addresses of this machine, and never all of them at once */
function demandOwnAddress({ wire }: PartSpec): void {
  if (wire.host !== null) demandOwn(wire.host)
}

function demandOwn(host: string): void {
  if (/^127\.\d+\.\d+\.\d+$/.test(host)) return
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  if (own.some(({ address }) => address === host)) return
  throw new HolonError('pool_wire_failed', `${host} is no address of this machine.`, {
    hint: 'Preview the pool again: the addresses of this machine have changed.',
  })
}
