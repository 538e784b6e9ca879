/** One pool in this life of the hub: how it looks at its members, launches groups on them, and stands in the fleet. */
import { asHolonError, HolonError } from '../../core/errors.ts'
import { choosePin, type PinChoice, type SpeedFigure } from '../../pool/controller/auto-pin.ts'
import type { PoolController } from '../../pool/controller/controller.ts'
import type { Checked, PoolWish } from '../../pool/controller/effects.ts'
import { poolEngine } from '../../pool/index.ts'
import { decide, type SoloChoice } from '../../pool/preview/decide.ts'
import type { GroupPlacement } from '../../pool/preview/placed.ts'
import { vouchFor } from '../../pool/preview/vouch-for.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolView } from '../../protocol/pools.ts'
import { bringWeights } from './bring-weights.ts'
import { chooseWire } from './choose-wire.ts'
import { fallbackOn } from './fallback.ts'
import { GroupLaunch } from './group-launch.ts'
import { lookAt } from './look.ts'
import { modelNames } from './model-names.ts'
import { type Delegate, PoolNode, type PoolSource } from './pool-node.ts'
import { poolView } from './pool-view.ts'
import type { PoolsOptions } from './pools-options.ts'
import { hasAlone } from './preview-pools.ts'
import type { SpeedBook } from './speed-book.ts'

export interface LivePoolOptions extends PoolsOptions {
  wish: PoolWish
  controller: PoolController
  speeds: SpeedBook
  /** How its members call the model may be known better now. */
  named(): void
}

/** A plan whose members were looked at, until it is launched or forgotten. */
interface Prepared {
  group: GroupPlacement
  handles: NodeHandle[]
}

/** Links are measured before a plan, unless that takes longer. */
const measureWithinMs = 15_000

export class LivePool {
  private readonly options: LivePoolOptions
  private readonly node: PoolNode
  private readonly leaveFleet: () => void
  private readonly prepared = new Map<number, Prepared>()
  private launch: { attempt: number; launch: GroupLaunch } | null = null
  private known: NodeModel | null = null
  /** How each member called the model when it was looked at. No catalogue is asked for a picture: it would ask back. */
  private readonly idsOn = new Map<string, string>()
  /** Decode speed of the last plan for all its members, and the best member alone. */
  private predictedTokS: number | null = null
  private solo: SoloChoice | null = null
  private choice: PinChoice = { pin: null, why: 'Its members have not been looked at yet.' }
  private switchedMs: number
  private served = false

  constructor(options: LivePoolOptions) {
    this.options = options
    this.switchedMs = Number.NEGATIVE_INFINITY
    this.node = new PoolNode(this.source())
    this.leaveFleet = options.fleet.put(this.node)
  }

  /** Takes it out of the fleet. */
  leave(): void {
    this.launch?.launch.leaveService(`the pool ${this.options.wish.name} ended`)
    this.leaveFleet()
    this.options.speeds.forget(`${this.options.wish.name}/`)
  }

  /** The model on members that reach a cluster: asked for through this pool alone. */
  standsFor(): { model: string; node: string }[] {
    const { wish } = this.options
    if (!clusterEngineIds.has(wish.engine)) return []
    return wish.members.map((node) => ({ model: this.idsOn.get(node) ?? wish.model, node }))
  }

  launchOf(attempt: number): GroupLaunch | null {
    return this.launch?.attempt === attempt ? this.launch.launch : null
  }

  async check(attempt: number, ids: readonly string[]): Promise<void> {
    let checked: Checked
    try {
      checked = await this.look(attempt, ids)
    } catch (thrown) {
      checked = { kind: 'refused', error: asHolonError(thrown), member: null }
    }
    this.options.controller.onChecked(this.options.wish.name, attempt, checked)
    this.choose()
  }

  open(attempt: number, rank: number): void {
    const launch = this.launchOf(attempt) ?? this.makeLaunch(attempt)
    launch?.open(rank)
  }

  /** Something about its standing changed. */
  changed(): void {
    const { controller, wish, onEvent } = this.options
    const standing = controller.standing(wish.name)
    const serves = standing?.service === 'group'
    if (standing?.phase === 'stopping')
      this.launch?.launch.leaveService(standing.reason ?? `the pool ${wish.name} is being ended`)
    if (serves !== this.served) {
      this.served = serves
      const data = { pool: wish.name, members: standing?.ranks ?? [], why: standing?.reason ?? null }
      onEvent(serves ? 'pool.ready' : 'pool.left', data)
    }
    this.node.changed()
  }

  view(): PoolView | null {
    const { controller, wish } = this.options
    const standing = controller.standing(wish.name)
    if (standing === null) return null
    const launch = standing.attempt === null ? null : this.launchOf(standing.attempt)
    return poolView({
      standing,
      nameOf: (id) => this.nameOf(id),
      group: launch && {
        placement: launch.options.group,
        mode: launch.options.mode,
        memoryOf: (rank) => launch.memoryOf(rank),
      },
      fallbackNode: this.fallback()?.node.name ?? null,
      pooled: this.pooledSpeed(),
      solo: this.soloSpeed(),
      choice: this.choice.why,
    })
  }

  /** Pooled, or on one member alone: by what is known of the speeds now. */
  choose(): void {
    this.decideChoice()
    this.options.controller.onPin(this.options.wish.name, this.choice.pin)
  }

  /** Members may have got other cables; ways that are known and fresh are left alone. Nothing while it answers. */
  async refreshLinks(): Promise<void> {
    const { wish, links } = this.options
    if (this.node.isBusy) return
    const handles = wish.members.flatMap((id) => this.handleOf(id) ?? [])
    const here = handles.filter((handle) => handle.state().state === 'ready')
    const modelOn = (node: NodeHandle) => this.idsOn.get(node.id) ?? wish.model
    const looked = await lookAt(here, { engine: wish.engine, modelOn, ownBytes: () => 0 })
    for (const [at, { facts }] of looked.entries())
      if (facts) links.note(here[at] as NodeHandle, facts.interfaces)
    if (!this.node.isBusy) await links.measure(here.map(({ id }) => id))
  }

  private decideChoice(): void {
    const { clock } = this.options
    const pinned = this.choice.pin
    const there = this.solo && this.handleOf(this.solo.node)?.state().state === 'ready' ? this.solo : null
    this.choice = choosePin({
      pinned,
      isCluster: clusterEngineIds.has(this.options.wish.engine),
      pooled: this.pooledSpeed(),
      solo: there && { ...this.soloSpeed(), node: there.node, name: there.name },
      sinceSwitchMs: clock.now() - this.switchedMs,
    })
    if (this.choice.pin !== pinned) this.switchedMs = clock.now()
  }

  private async look(attempt: number, ids: readonly string[]): Promise<Checked> {
    const { wish, catalogue, links, engines } = this.options
    const engine = poolEngine(wish.engine, engines)
    const handles = ids.flatMap((id) => this.handleOf(id) ?? [])
    const names = modelNames(catalogue, wish.model, handles)
    this.known = names.model ?? this.known
    for (const handle of handles) this.idsOn.set(handle.id, names.on(handle))
    this.options.named()
    const candidates = await lookAt(handles, {
      ...{ engine: wish.engine, modelOn: names.on, ownBytes: (node) => this.ownBytes(node) },
      paceOf: (node) => this.options.paceOf(node.id, names.on(node)),
    })
    for (const [at, { facts }] of candidates.entries())
      if (facts) links.note(handles[at] as NodeHandle, facts.interfaces)
    await within(links.measure(ids), measureWithinMs)
    const question = {
      model: names.model?.id ?? wish.model,
      contextTokens: wish.contextTokens,
      parallel: wish.parallel,
      members: candidates,
      link: (a: string, b: string) => links.between(a, b),
      servesAlone: (node: string) => this.soloDelegate(node) !== null,
    }
    const decision = decide(question, engine, candidates)
    if (decision.kind === 'refused') return { kind: 'refused', ...decision.obstacle }
    if (decision.kind === 'solo') return { kind: 'solo', node: decision.solo.node }
    const { group } = decision
    this.learn(group, decision.solo, ids.length === wish.members.length)
    if (this.choice.pin !== null) return { kind: 'solo', node: this.choice.pin }
    const ordered = group.members.map(({ node }) => this.handleOf(node) as NodeHandle)
    // Before anything starts: no try and no waiting would change it.
    const vouching = vouchFor(question, engine, group.members)
    if (vouching !== null && chooseWire(ordered, links, wish.isolatedLinks).mode !== 'isolated')
      return { kind: 'refused', error: new HolonError('pool_impossible', `${vouching}.`), member: null }
    this.prepared.clear()
    this.prepared.set(attempt, { group, handles: ordered })
    return {
      kind: 'group',
      plan: {
        members: ordered.map(({ id }) => id),
        together: engine.workersFirst !== true,
      },
    }
  }

  private learn(group: GroupPlacement, solo: SoloChoice | null, whole: boolean): void {
    if (!whole) return
    this.predictedTokS = group.placement.basis === 'unknown' ? null : group.placement.decodeTokS.expected
    this.solo = solo
    this.decideChoice()
  }

  private makeLaunch(attempt: number): GroupLaunch | null {
    const { wish, controller, links } = this.options
    const ready = this.prepared.get(attempt)
    this.prepared.clear()
    if (!ready) return null
    const { name } = wish
    const { hosts, mode } = chooseWire(ready.handles, links, wish.isolatedLinks)
    const launch = new GroupLaunch({
      pool: name,
      ...ready,
      modelIds: ready.handles.map(({ id }) => this.idsOn.get(id) ?? wish.model),
      hosts,
      mode,
      before: async (options) => {
        await this.freeMembers(ready.handles)
        await bringWeights({
          ...options,
          model: wish.model,
          plan: ready.group,
          handles: ready.handles,
          hosts,
        })
      },
      events: {
        opened: (rank) => controller.onOpened(name, attempt, rank),
        started: (rank) => controller.onStarted(name, attempt, rank),
        progress: (progress) => controller.onProgress(name, attempt, progress),
        failed: (rank, reason) => controller.onPartFailed(name, attempt, rank, reason),
        stopped: (rank) => controller.onStopped(name, attempt, rank),
      },
    })
    this.launch = { attempt, launch }
    return launch
  }

  /** The same model in a member's own engine makes room: the pool serves it from now on. */
  private async freeMembers(handles: readonly NodeHandle[]): Promise<void> {
    await Promise.all(
      handles.map(async (handle) => {
        const id = this.idsOn.get(handle.id)
        if (id !== undefined && handle.state().running.some((running) => running.id === id))
          await handle.unload(id)
      }),
    )
  }

  /** What this pool holds on a member now: its part, or the model in the member's own engine. */
  private ownBytes(node: NodeHandle): number {
    const { controller, wish } = this.options
    const standing = controller.standing(wish.name)
    const rank = standing?.ranks.indexOf(node.id) ?? -1
    const launch = standing?.attempt == null ? null : this.launchOf(standing.attempt)
    if (rank !== -1 && launch)
      return Math.max(launch.memoryOf(rank) ?? 0, launch.options.group.plan.members[rank]?.limitBytes ?? 0)
    const id = this.idsOn.get(node.id)
    return node.state().running.find((running) => running.id === id)?.memoryBytes ?? 0
  }

  private source(): PoolSource {
    const { wish, controller, engines, speeds } = this.options
    const { name } = wish
    return {
      name,
      concurrent: poolEngine(wish.engine, engines).concurrent,
      standing: () => controller.standing(name),
      model: () => this.model(),
      lease: () => {
        const attempt = controller.standing(name)?.attempt
        const launch = attempt == null ? null : this.launchOf(attempt)
        const lease = launch?.lease()
        return launch && lease && attempt != null ? { lease, ended: launch.ended, attempt } : null
      },
      busy: (attempt, answers) => controller.onIdle(name, attempt, answers === 0),
      solo: (node) => this.soloDelegate(node),
      fallback: () => this.fallback(),
      soloFailed: (node, reason) => {
        this.solo = null
        controller.onSoloFailed(name, node, reason)
      },
      note: (where, stats) => speeds.note(`${name}/${where}`, stats),
      memory: () => this.memory(),
      contextTokens: () => this.launch?.launch.options.group.plan.contextTokens ?? wish.contextTokens,
    }
  }

  private model(): NodeModel {
    const { wish } = this.options
    const known = this.known ?? {
      ...nothingKnown,
      id: wish.model,
      name: wish.model,
      source: `pool ${wish.name}`,
    }
    // What the head measured of it alone is not the pool's.
    const measuredDecodeTokS = this.pooledSpeed().measuredTokS
    return { ...known, measuredLoadS: null, measuredPrefillTokS: null, measuredDecodeTokS }
  }

  private soloDelegate(id: string): Delegate | null {
    const node = this.handleOf(id)
    const model = this.idsOn.get(id)
    return node && model !== undefined && hasAlone(node, model) ? { node, model } : null
  }

  private fallback(): Delegate | null {
    const { wish, catalogue, fleet } = this.options
    return wish.fallback === null ? null : fallbackOn(wish.fallback, catalogue, fleet.nodes)
  }

  private memory(): { budgetBytes: number; usedBytes: number } {
    const { wish, controller } = this.options
    const attempt = controller.standing(wish.name)?.attempt
    const launch = attempt == null ? null : this.launchOf(attempt)
    const members = launch?.options.handles ?? wish.members.flatMap((id) => this.handleOf(id) ?? [])
    const used = launch?.options.handles.map((_, rank) => launch.memoryOf(rank) ?? 0) ?? []
    const own = members.reduce((sum, node) => sum + node.state().memory.budgetBytes, 0)
    // A cluster's memory is not that of the machine that reaches it.
    const told = clusterEngineIds.has(wish.engine)
      ? launch?.options.group.plan.members[0]?.facts.memory.budgetBytes
      : undefined
    return {
      budgetBytes: told ?? own,
      usedBytes: used.reduce((sum, bytes) => sum + bytes, 0),
    }
  }

  private pooledSpeed(): SpeedFigure {
    const { wish, speeds } = this.options
    return { predictedTokS: this.predictedTokS, measuredTokS: speeds.of(`${wish.name}/pooled`) }
  }

  private soloSpeed(): SpeedFigure & { node: string | null } {
    const { wish, speeds } = this.options
    const { solo } = this
    const delegate = solo && this.soloDelegate(solo.node)
    const told = delegate?.node.state().models.find(({ id }) => id === delegate.model)?.measuredDecodeTokS
    return {
      node: solo?.name ?? null,
      predictedTokS: solo?.placement.decodeTokS.expected ?? null,
      measuredTokS: solo ? (speeds.of(`${wish.name}/solo`) ?? told ?? null) : null,
    }
  }

  private handleOf(id: string): NodeHandle | null {
    return this.options.fleet.nodes.find((node) => node.id === id) ?? null
  }

  private nameOf(id: string): string {
    return this.handleOf(id)?.name ?? id
  }
}

const nothingKnown: NodeModel = {
  id: '',
  path: '',
  source: '',
  format: 'unknown',
  architecture: null,
  name: null,
  quant: null,
  paramsTotal: null,
  sizeBytes: 0,
  contextMax: null,
  embedding: false,
  demo: false,
  problem: null,
  state: 'disk',
  progress: null,
  failure: null,
}

async function within(work: Promise<void>, ms: number): Promise<void> {
  let stop: NodeJS.Timeout | undefined
  await Promise.race([
    work,
    new Promise<void>((resolve) => {
      stop = setTimeout(resolve, ms)
    }),
  ])
  clearTimeout(stop)
}
