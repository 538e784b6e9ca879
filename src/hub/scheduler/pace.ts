/**
 * How quick a machine turned out to be, from the answers of all its models: what plans for other models are corrected by.
 * Pure.
 */
import { median } from '../../core/median.ts'
import type { Pace } from '../../planner/index.ts'
import type { Gauge } from './gauge.ts'
import type { Measured } from './measured.ts'

/** Less than one fresh answer is no evidence. */
const leastEvidence = 0.5

/**
 * Its answers of that model alone where there are some, else the middle of all its models. Models whose shape is only
 * guessed say more of the guess than of the machine, and count for nothing.
 */
export function paceOf(gauges: readonly Gauge[], modelId: string, nowS: number): Pace | null {
  const telling = gauges.filter(
    ({ estimate, decode }) => estimate?.shape === 'known' && decode.evidence(nowS) >= leastEvidence,
  )
  const own = telling.filter(({ placement }) => placement.model.id === modelId)
  const counted = own.length > 0 ? own : telling
  if (counted.length === 0) return null
  return {
    decode: middle(counted, ({ decode }) => decode, nowS),
    prefill: middle(counted, ({ prefill }) => prefill, nowS),
    ofThisModel: own.length > 0,
    models: counted.map(({ placement }) => placement.model.id),
  }
}

/** Further off than this says that something else was going on, or that the plan was for another thing. */
const mostOff = 3

/** Of ratios, so on logarithms: twice as long and half as long are no change together. */
function middle(gauges: readonly Gauge[], of: (gauge: Gauge) => Measured, nowS: number): number | null {
  const heard = gauges.map(of).filter((one) => one.evidence(nowS) >= leastEvidence)
  if (heard.length === 0) return null
  const ratio = Math.exp(median(heard.map((one) => Math.log(one.ratio(nowS)))))
  return Math.min(mostOff, Math.max(1 / mostOff, ratio))
}
