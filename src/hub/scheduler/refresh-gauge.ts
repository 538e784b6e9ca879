/** Brings a gauge up to date with its node's latest picture, with what was measured, and with the planner. Pure. */
import { USUAL_DRIVE_BYTES_PER_S } from '../../planner/index.ts'
import type { NodeModel, RunningModel } from '../../protocol/model.ts'
import type { NodeState } from '../../protocol/node.ts'
import { tooBig } from './contest.ts'
import type { Gauge } from './gauge.ts'
import { coolingS } from './predict-finish.ts'
import { guessSpeed, type SpeedEstimates } from './speed-estimate.ts'

/** Engines take this long beside reading the file, until a load was measured. Seconds. */
const warmUpS = 2
/** Figures are made anew after this long though nothing was heard: evidence ages. Seconds. */
const refreshS = 60
/** A model takes more memory than its file: cache and buffers. */
const overFile = 1.15
/** How much shorter than the context a prompt must be estimated to be surely short enough. */
const margin = 1.1

export function refreshGauge(gauge: Gauge, estimates: SpeedEstimates, nowS: number): void {
  const { model, node } = gauge.placement
  const { state } = node
  const running = state.running.find(({ id }) => id === model.id)
  gauge.set('dueS', nowS + refreshS)
  if (running?.parallel) gauge.set('slots', running.parallel)
  const longest = Math.min(running?.contextTokens ?? 1e9, model.contextMax ?? 1e9)
  gauge.set('contextTokens', longest / margin)
  gauge.set('rank', rankOf(model, state))
  takeEstimate(gauge, estimates, running)
  seed(gauge, running, nowS)
  takeMeasured(gauge, nowS)
  gauge.set('loadS', loadSeconds(gauge, model))
  takeState(gauge, model, nowS)
  gauge.set('evictS', evictionCost(gauge, state, model))
  gauge.set('evictAtS', nowS)
}

/** What of the class does not depend on the request: see contest.ts. */
function rankOf(model: NodeModel, state: NodeState): number {
  // A pool's plan says what it holds; what its members have left while it is down does not.
  const isAlone = state.role !== 'pool'
  const isTooBig = isAlone && model.state !== 'ready' && model.sizeBytes > state.memory.budgetBytes
  const isTrusted = state.state === 'ready'
  return (isTrusted ? 0 : 8) + (model.state === 'failed' ? 4 : 0) + (isTooBig ? tooBig : 0)
}

function takeState(gauge: Gauge, model: NodeModel, nowS: number): void {
  if (model.state === 'ready') {
    gauge.set('cold', 0)
    gauge.set('loadEndS', 0)
    return
  }
  // Held already, and nothing held is unloaded: the picture is from before the load.
  if (gauge.get('cold') === 0 && gauge.get('inFlight') > 0) return
  gauge.cachedFrom = gauge.served
  if (model.state !== 'loading') {
    gauge.set('cold', 2)
    return
  }
  const { progress } = model
  const loadS = gauge.get('loadS')
  gauge.set('cold', 1)
  if (progress?.etaS != null) gauge.set('loadEndS', nowS + progress.etaS)
  else if (progress?.percent != null) gauge.set('loadEndS', nowS + loadS * (1 - progress.percent / 100))
  else if (gauge.get('loadEndS') === 0) gauge.set('loadEndS', nowS + loadS / 2)
}

/** Speeds anew from estimate and evidence. */
export function takeMeasured(gauge: Gauge, nowS: number): void {
  const { estimate } = gauge
  if (estimate === null) return
  const decode = gauge.decode.ratio(nowS)
  const prefill = gauge.prefill.ratio(nowS)
  gauge.set('decode0', estimate.decode0 * decode)
  gauge.set('decode1', estimate.decode1 * decode)
  gauge.set('prefill0', estimate.prefill0 * prefill)
  gauge.set('prefill1', estimate.prefill1 * prefill)
  gauge.set('crowding', estimate.crowding)
  gauge.decodeBasis = gauge.decode.evidence(nowS) >= 0.5 ? 'measured' : estimate.basis
  gauge.prefillBasis = gauge.prefill.evidence(nowS) >= 0.5 ? 'measured' : estimate.basis
}

function takeEstimate(gauge: Gauge, estimates: SpeedEstimates, running: RunningModel | undefined): void {
  const { model, edition, node } = gauge.placement
  const { profile, engines } = node.state
  const engine = running?.engine || model.engine || engines[0] || 'llama.cpp'
  const planned = profile === null ? null : estimates.find(profile, model, edition, engineName(engine))
  // Come back soon for what is being worked out.
  if (planned === undefined) gauge.set('dueS', 0)
  const before = gauge.estimate
  // What an earlier life of the hub worked out stands until this one has.
  const next = planned ?? (planned === undefined ? before : null) ?? guessSpeed(model)
  if (before !== null && before !== next) {
    gauge.decode.rebase(before.decode0 / next.decode0)
    gauge.prefill.rebase(before.prefill0 / next.prefill0)
  }
  gauge.estimate = next
}

/** The planner knows engines by the names that people publish figures under. */
function engineName(engine: string): string {
  return /^(embedded|llama-?server|llama-?cpp)/i.test(engine) ? 'llama.cpp' : engine
}

/** A hub that was just started knows nothing; its nodes remember their last answer. */
function seed(gauge: Gauge, running: RunningModel | undefined, nowS: number): void {
  const { estimate } = gauge
  if (running === undefined || estimate === null || gauge.served > 0) return
  if (running.decodeTokS !== null && gauge.decode.evidence(nowS) === 0)
    gauge.decode.observe(1 / running.decodeTokS / estimate.decode0, nowS)
  if (running.prefillTokS !== null && gauge.prefill.evidence(nowS) === 0)
    gauge.prefill.observe(1 / running.prefillTokS / estimate.prefill0, nowS)
}

function loadSeconds(gauge: Gauge, model: NodeModel): number {
  const { measuredLoadS, node } = gauge
  const ofNode = node.loadBytesPerS
  gauge.loadBasis = measuredLoadS !== null ? 'measured' : ofNode !== null ? 'calibrated' : 'modelled'
  if (measuredLoadS !== null) return measuredLoadS
  if (ofNode !== null) return warmUpS / 2 + model.sizeBytes / ofNode
  return warmUpS + model.sizeBytes / USUAL_DRIVE_BYTES_PER_S
}

/**
 * What is driven out of memory must be loaded again if it is asked for, which is likelier the hotter it is. By the last use
 * alone, a model that is asked for every half hour was kept before one that is asked for every minute, and a single request
 * for it had three models reloaded. Seconds.
 */
function evictionCost(gauge: Gauge, state: NodeState, model: NodeModel): number {
  const { budgetBytes, usedBytes } = state.memory
  let missing = model.sizeBytes * overFile - (budgetBytes - usedBytes)
  if (missing <= 0 || state.running.length === 0) return 0
  const perByte = gauge.get('loadS') / Math.max(1, model.sizeBytes)
  const coldestFirst = [...state.running].sort((a, b) => b.idleS - a.idleS)
  let cost = 0
  for (const { id, memoryBytes, active, idleS } of coldestFirst) {
    if (missing <= 0) break
    const bytes = memoryBytes ?? usedBytes / state.running.length
    // What answers now must end first.
    const gapS = gauge.node.gauges.find(({ placement }) => placement.model.id === id)?.gapS ?? 0
    const heat = active > 0 ? 2 : coolingS / (coolingS + Math.max(idleS, gapS))
    cost += bytes * perByte * heat + (active > 0 ? 10 : 0)
    missing -= bytes
  }
  return cost
}
