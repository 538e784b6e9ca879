/** Brings a gauge up to date with its node's latest picture, with what was measured, and with the planner. Pure. */
import { USUAL_DRIVE_BYTES_PER_S } from '../../planner/index.ts'
import type { NodeModel, RunningModel } from '../../protocol/model.ts'
import type { NodeState } from '../../protocol/node.ts'
import type { Gauge } from './gauge.ts'
import { guessSpeed, type SpeedEstimates } from './speed-estimate.ts'

/** Engines take this long beside reading the file, until a load was measured. Seconds. */
const warmUpS = 2
/** Figures are made anew after this long though nothing was heard: evidence ages. Seconds. */
const refreshS = 60
/** A running model that was not asked for so long is missed half as much. Seconds. */
const coolingS = 600
/** A model takes more memory than its file: cache and buffers. */
const overFile = 1.15

export function refreshGauge(gauge: Gauge, estimates: SpeedEstimates, nowS: number): void {
  const { model, node } = gauge.placement
  const { state } = node
  const running = state.running.find(({ id }) => id === model.id)
  gauge.seen = state
  gauge.dueS = nowS + refreshS
  gauge.trusted = state.state === 'ready'
  if (running?.parallel) gauge.slots = running.parallel
  gauge.contextTokens = running?.contextTokens ?? 0
  if (model.state === 'ready') gauge.loadingSinceS = 0
  else gauge.cachedFrom = gauge.served
  if (model.state === 'loading' && gauge.loadingSinceS === 0) gauge.loadingSinceS = nowS
  takeEstimate(gauge, estimates, running)
  seed(gauge, running, nowS)
  takeMeasured(gauge, nowS)
  gauge.loadS = loadSeconds(gauge, model)
  gauge.evictS = evictionCost(gauge, state, model)
  gauge.evictAtS = nowS
}

/** Speeds anew from estimate and evidence. */
export function takeMeasured(gauge: Gauge, nowS: number): void {
  const { estimate } = gauge
  if (estimate === null) return
  const decode = gauge.decode.ratio(nowS)
  const prefill = gauge.prefill.ratio(nowS)
  gauge.decode0 = estimate.decode0 * decode
  gauge.decode1 = estimate.decode1 * decode
  gauge.prefill0 = estimate.prefill0 * prefill
  gauge.prefill1 = estimate.prefill1 * prefill
  gauge.crowding = estimate.crowding
  gauge.decodeBasis = gauge.decode.evidence(nowS) >= 0.5 ? 'measured' : estimate.basis
  gauge.prefillBasis = gauge.prefill.evidence(nowS) >= 0.5 ? 'measured' : estimate.basis
}

function takeEstimate(gauge: Gauge, estimates: SpeedEstimates, running: RunningModel | undefined): void {
  const { model, edition, node } = gauge.placement
  const { profile, engines } = node.state
  const engine = running?.engine || model.engine || engines[0] || 'llama.cpp'
  const planned = profile === null ? null : estimates.find(profile, model, edition, engineName(engine))
  // Come back soon for what is being worked out.
  if (planned === undefined) gauge.dueS = 0
  const next = planned ?? guessSpeed(model)
  const before = gauge.estimate
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
  gauge.loadBasis =
    measuredLoadS !== null ? 'measured' : node.loadBytesPerS !== null ? 'calibrated' : 'modelled'
  if (measuredLoadS !== null) return measuredLoadS
  if (node.loadBytesPerS !== null) return warmUpS / 2 + model.sizeBytes / node.loadBytesPerS
  return warmUpS + model.sizeBytes / USUAL_DRIVE_BYTES_PER_S
}

/** What is driven out of memory must be loaded again if it is asked for, which is likelier the hotter it is. Seconds. */
function evictionCost({ loadS }: Gauge, state: NodeState, model: NodeModel): number {
  const { budgetBytes, usedBytes } = state.memory
  let missing = model.sizeBytes * overFile - (budgetBytes - usedBytes)
  if (missing <= 0 || state.running.length === 0) return 0
  const perByte = loadS / Math.max(1, model.sizeBytes)
  const coldestFirst = [...state.running].sort((a, b) => b.idleS - a.idleS)
  let cost = 0
  for (const { memoryBytes, active, idleS } of coldestFirst) {
    if (missing <= 0) break
    const bytes = memoryBytes ?? usedBytes / state.running.length
    // What answers now must end first.
    const heat = active > 0 ? 2 : coolingS / (coolingS + idleS)
    cost += bytes * perByte * heat + (active > 0 ? 10 : 0)
    missing -= bytes
  }
  return cost
}
