/**
 * A pool as a node of the fleet: to requests one machine with a lot of memory. While its group serves, the head answers;
 * while one member serves alone, that member's own engine; while neither can, the declared fallback does, and says so.
 */
import { HolonError } from '../../core/errors.ts'
import type { PoolStanding } from '../../pool/controller/effects.ts'
import type { AnswerStats, EngineLease } from '../../protocol/lease.ts'
import type { LoadProgress, NodeModel, RunningModel } from '../../protocol/model.ts'
import type { NodeHandle, NodeState } from '../../protocol/node.ts'

/** Where a request goes when the group does not answer. */
export interface Delegate {
  node: NodeHandle
  model: string
}

export interface PoolSource {
  readonly name: string
  /** False when its engine breaks on two requests at once. */
  readonly concurrent: boolean
  standing(): PoolStanding | null
  /** The model as its head describes it. */
  model(): NodeModel
  /** The head's engine; null when the group does not serve. */
  lease(): { lease: EngineLease; ended: Promise<string>; attempt: number } | null
  /** Answers of that group that are under way. */
  busy(attempt: number, answers: number): void
  solo(node: string): Delegate | null
  fallback(): Delegate | null
  soloFailed(node: string, reason: string): void
  /** Somebody's answer ended: `pooled`, or on one member alone. */
  note(where: 'pooled' | 'solo', stats: AnswerStats | undefined): void
  memory(): { budgetBytes: number; usedBytes: number }
  contextTokens(): number | null
}

type Wanted = { signal: AbortSignal; onProgress?: (progress: LoadProgress) => void }

/** A request tries this often: a group may end under its hands. */
const tries = 4

export class PoolNode implements NodeHandle {
  readonly id: string
  readonly name: string
  private readonly source: PoolSource
  private readonly listeners = new Set<() => void>()
  private readonly active = new Map<number, number>()
  private last: AnswerStats | undefined
  private picture: NodeState | null = null

  constructor(source: PoolSource) {
    this.id = `pool:${source.name}`
    this.name = source.name
    this.source = source
  }

  /** A new object whenever something changed, and the same until then. */
  state(): NodeState {
    this.picture ??= this.take()
    return this.picture
  }

  subscribe(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  changed(): void {
    this.picture = null
    for (const listener of [...this.listeners]) listener()
  }

  async acquire(model: string, wanted: Wanted): Promise<EngineLease> {
    for (let tried = 0; tried < tries; ) {
      wanted.signal.throwIfAborted()
      const held = await this.tryOnce(wanted)
      if (held === 'again') tried++
      else if (held === 'wait') await this.nextChange(wanted)
      else return held
    }
    throw this.down(`it does not come to rest with ${model}`)
  }

  async load(model: string): Promise<void> {
    const lease = await this.acquire(model, { signal: AbortSignal.timeout(30 * 60_000) })
    lease.release()
  }

  async unload(): Promise<void> {
    throw new HolonError(
      'pool_impossible',
      `The pool ${this.name} holds this model for as long as there is the pool.`,
      {
        hint: `\`holon pool remove ${this.name}\` ends it and frees its members.`,
      },
    )
  }

  private async tryOnce(wanted: Wanted): Promise<EngineLease | 'again' | 'wait'> {
    const standing = this.source.standing()
    if (standing === null) throw this.down('it was removed')
    if (standing.service === 'group') return this.ofGroup() ?? 'again'
    if (standing.service === 'solo' && standing.solo !== null) return this.ofSolo(standing.solo, wanted)
    const fallback = this.source.fallback()
    if (fallback) {
      const lease = await fallback.node.acquire(fallback.model, wanted)
      const why = standing.reason ?? 'it is being formed'
      return routed(lease, `pool ${this.name} is not ready (${why}), its fallback ${lease.model} answers`)
    }
    if (standing.phase === 'resting') throw this.down(standing.reason ?? 'nobody serves it')
    wanted.onProgress?.(standing.progress ?? { phase: wordsFor(standing.phase), percent: null, etaS: null })
    return 'wait'
  }

  private ofGroup(): EngineLease | null {
    const held = this.source.lease()
    if (held === null) return null
    const { lease, ended, attempt } = held
    this.count(attempt, 1)
    return {
      ...lease,
      model: lease.model,
      parallel: this.source.concurrent ? lease.parallel : 1,
      died: ended,
      release: (stats) => {
        lease.release(stats)
        this.last = stats ?? this.last
        this.source.note('pooled', stats)
        this.count(attempt, -1)
      },
    }
  }

  private async ofSolo(id: string, wanted: Wanted): Promise<EngineLease | 'again'> {
    const delegate = this.source.solo(id)
    if (delegate === null) {
      this.source.soloFailed(id, 'It no longer has the model.')
      return 'again'
    }
    try {
      const lease = await delegate.node.acquire(delegate.model, wanted)
      const counted: EngineLease = {
        ...lease,
        release: (stats) => {
          lease.release(stats)
          this.source.note('solo', stats)
        },
      }
      return routed(counted, `pool ${this.name} runs on ${delegate.node.name} alone`)
    } catch (thrown) {
      if (!(thrown instanceof HolonError) || !cannotHold.has(thrown.code)) throw thrown
      this.source.soloFailed(id, thrown.message)
      return 'again'
    }
  }

  private count(attempt: number, by: 1 | -1): void {
    const answers = (this.active.get(attempt) ?? 0) + by
    if (answers > 0) this.active.set(attempt, answers)
    else this.active.delete(attempt)
    this.source.busy(attempt, answers)
    this.changed()
  }

  private nextChange({ signal, onProgress }: Wanted): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = () => {
        stop()
        reject(signal.reason)
      }
      const unsubscribe = this.subscribe(() => {
        const progress = this.source.standing()?.progress
        if (progress) onProgress?.(progress)
        stop()
        resolve()
      })
      const stop = () => {
        unsubscribe()
        signal.removeEventListener('abort', giveUp)
      }
      signal.addEventListener('abort', giveUp, { once: true })
    })
  }

  private down(why: string): HolonError {
    return new HolonError('engine_unavailable', `The pool ${this.name} is down: ${why.replace(/\.$/, '')}.`, {
      hint: `\`holon pool show ${this.name}\` says how its members stand; \`holon pool retry ${this.name}\` tries again now.`,
      retryAfterS: 10,
    })
  }

  private take(): NodeState {
    const standing = this.source.standing()
    const base = { id: this.id, name: this.name, profile: null, engines: [], models: [], running: [] }
    const memory = this.source.memory()
    if (standing === null) return { ...base, state: 'gone', memory }
    const described = this.source.model()
    const model: NodeModel = { ...described, ...this.modelState(standing) }
    return {
      ...base,
      state: 'ready',
      engines: [standing.wish.engine],
      models: [model],
      running: standing.attempt === null ? [] : [this.runningModel(standing, model, memory.usedBytes)],
      memory,
      role: 'pool',
    }
  }

  private modelState({ service, solo, phase, progress, reason }: PoolStanding) {
    const none = { progress: null, failure: null }
    if (service === 'group') return { ...none, state: 'ready' as const }
    if (service === 'solo' && solo !== null) {
      const delegate = this.source.solo(solo)
      const there = delegate?.node.state().models.find(({ id }) => id === delegate.model)
      return { progress: there?.progress ?? null, failure: null, state: there?.state ?? ('disk' as const) }
    }
    if (phase === 'resting')
      return { ...none, state: 'failed' as const, failure: reason ?? 'nobody serves it' }
    return {
      ...none,
      state: 'loading' as const,
      progress: progress ?? { phase: wordsFor(phase), percent: null, etaS: null },
    }
  }

  private runningModel(standing: PoolStanding, model: NodeModel, usedBytes: number): RunningModel {
    const ready = standing.service === 'group'
    return {
      id: model.id,
      engine: standing.wish.engine,
      pid: null,
      state: ready ? 'ready' : 'loading',
      progress: model.progress,
      contextTokens: this.source.contextTokens(),
      parallel: this.source.concurrent ? standing.wish.parallel : 1,
      threads: null,
      memoryBytes: usedBytes > 0 ? usedBytes : null,
      active: [...this.active.values()].reduce((sum, answers) => sum + answers, 0),
      decodeTokS: this.last?.decodeTokS ?? null,
      prefillTokS: this.last?.prefillTokS ?? null,
      loadedAt: standing.readySinceMs,
      idleS: 0,
    }
  }
}

/** What says that the model does not run there, as opposed to a request that failed. */
const cannotHold = new Set([
  'model_too_big',
  'model_load_failed',
  'model_not_found',
  'model_file_invalid',
  'model_file_missing',
])

function wordsFor(phase: PoolStanding['phase']): string {
  if (phase === 'checking') return 'looking at the members'
  if (phase === 'opening') return 'opening the wire between the members'
  if (phase === 'starting') return 'starting the members'
  return 'ending the last group'
}

function routed(lease: EngineLease, route: string): EngineLease {
  const ascii = route.replace(/[^\x20-\x7e]/g, '?').slice(0, 300)
  return { ...lease, route: lease.route === undefined ? ascii : `${ascii}; ${lease.route}` }
}
