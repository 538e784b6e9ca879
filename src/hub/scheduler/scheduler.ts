/**
 * Which model on which node answers, and why. Holds what was learned of speeds, loads, answers and caches; decides by the
 * predicted finish (contest.ts), the lane's level and the tiers' rules. No I/O; time comes from the clock it is given.
 */
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import type { Pace } from '../../planner/index.ts'
import { type Lane, type ServiceLevel, serviceLevels } from '../../protocol/lane.ts'
import type { NodeModel } from '../../protocol/model.ts'
import type { EngineLease, NodeHandle } from '../../protocol/node.ts'
import { isTier } from '../../protocol/tier.ts'
import { type Caller, owner } from '../auth/caller.ts'
import { wantedBy, withoutOthers } from '../auth/wanted-by.ts'
import type { Catalogue, Found } from '../catalogue/catalogue.ts'
import type { Placement } from '../catalogue/edition.ts'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import { type Entrants, holdContest, type Rules, Verdict } from './contest.ts'
import { type Asked, type Decision, Decisions } from './decisions.ts'
import { type Demand, nothingMore } from './demand.ts'
import type { Gauge } from './gauge.ts'
import { Gauges } from './gauges.ts'
import { type Conditions, conditionsOf, learnFrom, learnLoad } from './learn.ts'
import type { Lesson } from './lesson.ts'
import { paceOf } from './pace.ts'
import { PrefixAffinity } from './prefix-affinity.ts'
import { refreshGauge, takeMeasured } from './refresh-gauge.ts'
import { routeText } from './route-text.ts'
import { SpeedEstimates } from './speed-estimate.ts'
import { contestTier } from './tier-contest.ts'
import { whyHard } from './tiers.ts'

/** What happens when no placement keeps the lane's level: served as well as can be, or refused. */
export type LevelPolicy = 'effort' | 'enforce'

export interface SchedulerOptions {
  catalogue: Pick<Catalogue, 'find' | 'offeredOn' | 'index'>
  clock: Clock
  level?: LevelPolicy
  /** Choices to remember for explanations. */
  remember?: number
}

export interface Question {
  /** The request's id. */
  id: string
  /** A model's name, or a tier's. */
  model: string
  /** Null for those who manage the hub: whatever there is, offered or not. */
  lane: Lane | null
  demand: Demand
  /** Who asks; without one, the owner. */
  caller?: Pick<Caller, 'models' | 'name'>
  /** Ids of nodes that failed this request already. */
  passed?: ReadonlySet<string>
}

export interface Choice {
  node: NodeHandle
  /** The model as that node has it; its id may differ from what was asked. */
  model: NodeModel
  /** Why this node, for `x-holon-route`. ASCII. */
  route: string
  gauge: Gauge
  demand: Demand
  /** Set when the caller left the model to the hub. */
  tier: 'auto:fast' | 'auto:best' | null
  predicted: { promptTokens: number; cachedTokens: number; serviceS: number }
  /** The record of it, and its number: the record may be written over before the answer ends. */
  decision: Decision
  serial: number
}

/** A request that goes to its choice, until it is over there. */
export interface Claim {
  choice: Choice
  conditions: Conditions
  isCold: boolean
  over: boolean
}

const nobody: ReadonlySet<string> = new Set()
const noLevel: ServiceLevel = { firstTokenS: null, decodeTokS: null }

export class Scheduler {
  readonly decisions: Decisions
  private readonly options: SchedulerOptions
  private readonly gauges = new Gauges()
  private readonly affinity = new PrefixAffinity(this.gauges)
  private readonly estimates: SpeedEstimates
  private readonly entrants = new WeakMap<Found, Entrants>()
  private readonly verdict = new Verdict()
  private nowS = 0

  constructor(options: SchedulerOptions) {
    this.options = options
    this.decisions = new Decisions(options.remember)
    options.catalogue.index.onRead = (node) => this.gauges.changed(node)
    this.estimates = new SpeedEstimates((work) => {
      options.clock.after(0, work)
    })
  }

  /**
   * The choice for a request, remembered for `holon explain`.
   * @throws HolonError model_not_found, model_file_invalid, invalid_parameter, engine_unavailable, store_unavailable;
   * level_not_kept where levels are enforced
   */
  choose(question: Question): Choice {
    const decided = this.decide(question)
    const { gauge, asked, entrants, rules } = decided
    const decision = this.decisions.note(asked, entrants, rules, this.verdict)
    const { terms, keepsLevel } = this.verdict
    if (!keepsLevel && this.options.level === 'enforce')
      throw levelNotKept(asked.lane, terms.firstTokenS, terms.decodeTokS)
    const { placement } = gauge
    // Spelled out: a spread makes V8 build the object property by property, which cost more than the choice itself.
    return {
      node: placement.node.handle,
      model: placement.model,
      route: routeText(asked, gauge, this.verdict),
      gauge,
      demand: question.demand,
      tier: asked.tier,
      predicted: {
        promptTokens: terms.promptTokens,
        cachedTokens: terms.cachedTokens,
        serviceS: terms.prefillS + terms.decodeS,
      },
      decision,
      serial: decision.serial,
    }
  }

  /** Where a request would go now, for those who only ask. @throws HolonError as `choose`, but for levels */
  look(
    model: string,
    lane: Lane | null,
    caller?: Question['caller'],
  ): Pick<Choice, 'node' | 'model' | 'route'> {
    const { gauge, asked } = this.decide({ id: '', model, lane, demand: nothingMore, caller })
    return { ...whereIs(gauge), route: routeText(asked, gauge, this.verdict) }
  }

  private decide({ id, model, lane, demand, passed, caller = owner }: Question) {
    const timeMs = this.options.clock.now()
    this.nowS = timeMs / 1000
    requireTierable(model, demand)
    const found = this.find(model, lane, caller)
    for (const node of this.gauges.takeStale()) for (const gauge of node.gauges) this.refresh(gauge)
    const entrants = this.entrantsOf(found, lane)
    const rules: Rules = {
      numbers: this.gauges.numbers,
      size: demand,
      mark: this.affinity.markFor(demand),
      nowS: this.nowS,
      level: lane === null ? noLevel : serviceLevels[lane],
      refresh: this.refresh,
      passed: passed ?? nobody,
      able: null,
    }
    const isTiered = lane !== null && isTier(model)
    const tiered = isTiered ? contestTier(model, demand, entrants, rules, this.verdict) : null
    if (tiered === null) holdContest(entrants, rules, this.verdict)
    const contested = tiered?.entrants ?? entrants
    const gauge = contested.gauges[this.verdict.winner]
    if (gauge === undefined) throw nobodyCan(model)
    const asked: Asked = {
      id,
      timeMs,
      model,
      lane: lane ?? 'production',
      tier: tiered?.tier ?? null,
      hard: tiered === null ? 'none' : whyHard(demand),
    }
    return { gauge, entrants: contested, rules, asked }
  }

  /** The request goes to its choice. Tell `over` exactly once. */
  claim(choice: Choice): Claim {
    const { gauge, demand, predicted } = choice
    const nowS = this.options.clock.now() / 1000
    const claim: Claim = {
      choice,
      conditions: conditionsOf(gauge),
      isCold: gauge.get('cold') === 2 && gauge.get('inFlight') === 0,
      over: false,
    }
    if (claim.isCold) gauge.set('loadEndS', nowS + gauge.get('loadS'))
    gauge.set('inFlight', gauge.get('inFlight') + 1)
    gauge.node.count(1)
    gauge.set('workS', gauge.get('workS') + predicted.serviceS)
    gauge.sent(nowS)
    this.affinity.sent(demand, gauge, predicted.promptTokens)
    return claim
  }

  /** Its engine is held. @param seconds it took */
  held(claim: Claim, lease: Pick<EngineLease, 'parallel' | 'parameters'>, seconds: number): void {
    const { gauge } = claim.choice
    gauge.set('slots', Math.max(1, lease.parallel))
    gauge.parameters = lease.parameters
    gauge.set('cold', 0)
    if (!claim.isCold) return
    claim.isCold = false
    learnLoad(gauge, seconds)
    gauge.set('loadS', gauge.measuredLoadS ?? gauge.get('loadS'))
  }

  /** It is over there. @param record of the whole request; null when it goes on elsewhere */
  over(claim: Claim, record: AnswerRecord | null): void {
    if (claim.over) return
    claim.over = true
    const { gauge, demand, predicted, decision, serial } = claim.choice
    const left = gauge.get('inFlight') - 1
    gauge.set('inFlight', left)
    gauge.node.count(-1)
    gauge.set('workS', left === 0 ? 0 : Math.max(0, gauge.get('workS') - predicted.serviceS))
    if (decision.serial === serial) decision.over(record)
    if (record === null) return
    const nowS = this.options.clock.now() / 1000
    const { bytes, generates } = demand
    const request = { bytes, generates, expectedCached: predicted.cachedTokens }
    learnFrom(gauge, record, claim.conditions, request, nowS)
    takeMeasured(gauge, nowS)
    this.affinity.noteSession(demand, gauge, record.promptTokens + record.completionTokens)
  }

  /** How quick a node turned out to be, for plans of a model on it; null while nothing was measured. */
  paceOf(nodeId: string, modelId: string): Pace | null {
    this.nowS = this.options.clock.now() / 1000
    const { index } = this.options.catalogue
    index.refresh()
    for (const placement of index.find(nodeId)?.placements ?? [])
      if (this.gauges.isRecalled(placement)) this.gaugeOf(placement)
    const gauges = this.gauges.on(nodeId)
    // Those that nobody asked for since the planner was done still stand on a guess.
    for (const gauge of gauges) this.refresh(gauge)
    return paceOf(gauges, modelId, this.nowS)
  }

  /** Takes in what an earlier life of the hub learned. Before the first choice. */
  recall(lessons: readonly Lesson[]): void {
    this.gauges.recall(lessons)
  }

  /** What this life would leave to the next. */
  learned(): Lesson[] {
    return this.gauges.learned(this.options.clock.now() / 1000)
  }

  private readonly refresh = (gauge: Gauge): void => refreshGauge(gauge, this.estimates, this.nowS)

  /** What may be chosen from. */
  private find(model: string, lane: Lane | null, caller: NonNullable<Question['caller']>): Found {
    const { catalogue } = this.options
    const isTiered = lane !== null && isTier(model)
    const found = isTiered
      ? catalogue.offeredOn(lane)
      : withoutOthers(caller.models, () => catalogue.find(model, lane))
    return wantedBy(caller, model, found)
  }

  private gaugeOf(placement: Placement): Gauge {
    const { gauge, isNew } = this.gauges.of(placement)
    if (isNew) this.refresh(gauge)
    return gauge
  }

  private entrantsOf(found: Found, lane: Lane | null): Entrants {
    let entrants = this.entrants.get(found)
    if (entrants === undefined) {
      const { held } = found
      const gauges = held.map(({ placement }) => this.gaugeOf(placement))
      const isOrdinary = (own: boolean) => lane === 'experimental' && !own
      entrants = {
        gauges,
        places: Int32Array.from(gauges, ({ at }) => at),
        background: Uint8Array.from(held, ({ background }) => (background ? 1 : 0)),
        ordinary: Uint8Array.from(held, ({ own }) => (isOrdinary(own) ? 1 : 0)),
      }
      this.entrants.set(found, entrants)
    }
    return entrants
  }
}

/** @throws HolonError invalid_parameter for what no tier can choose */
function requireTierable(model: string, { endpoint }: Demand): void {
  if (endpoint !== 'embedding' || !isTier(model)) return
  throw new HolonError('invalid_parameter', `"${model}" chooses among models that generate text.`, {
    param: 'model',
    hint: 'Embeddings of two models cannot be compared: name the embedding model.',
  })
}

const whereIs = ({ placement }: Gauge) => ({ node: placement.node.handle, model: placement.model })

function nobodyCan(model: string): HolonError {
  if (isTier(model)) {
    return new HolonError('model_not_found', `No model here can do what "${model}" is asked for.`, {
      param: 'model',
      hint: 'Name a model, or leave out what none can do: `holon models` shows what there is.',
    })
  }
  return new HolonError('engine_unavailable', `No machine that has "${model.slice(0, 200)}" can answer now.`)
}

function levelNotKept(lane: Lane, firstTokenS: number, decodeTokS: number): HolonError {
  const { firstTokenS: first, decodeTokS: rate } = serviceLevels[lane]
  const message =
    first !== null && firstTokenS > first
      ? `The lane "${lane}" promises the first token within ${first} s, and the best machine would take ${firstTokenS.toFixed(1)} s.`
      : `The lane "${lane}" promises ${rate} tokens/s, and the best machine would give ${decodeTokS.toFixed(1)}.`
  return new HolonError('level_not_kept', message, {
    retryAfterS: Math.min(60, Math.max(1, Math.ceil(firstTokenS))),
  })
}
