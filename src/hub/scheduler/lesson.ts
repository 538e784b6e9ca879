/** What a gauge learned, as it is kept for the hub's next life: a restart must not make a known machine a stranger. Pure. */
import type { Gauge } from './gauge.ts'
import { type Kept, Measured } from './measured.ts'
import type { SpeedEstimate } from './speed-estimate.ts'

export interface Lesson {
  /** Id of the node. */
  node: string
  model: string
  /** Another size is another model by the same id. */
  sizeBytes: number
  /** What the measured ratios correct; a later planner may say something else. */
  estimate: SpeedEstimate
  decode: Kept | null
  prefill: Kept | null
  loadS: number | null
}

/** Less says nothing any more: a day and a half after eight answers. */
const leastEvidence = 0.1

const worth = (kept: Kept | null, nowS: number): Kept | null =>
  kept !== null && Measured.of(kept).evidence(nowS) >= leastEvidence ? kept : null

/** Null when it learned nothing, or so long ago that it does not count. */
export function lessonOf(gauge: Gauge, nowS: number): Lesson | null {
  const { placement, estimate, decode, prefill, measuredLoadS } = gauge
  if (estimate === null) return null
  const { node, model } = placement
  return stillGood(
    {
      node: node.handle.id,
      model: model.id,
      sizeBytes: model.sizeBytes,
      estimate,
      decode: decode.kept(),
      prefill: prefill.kept(),
      loadS: measuredLoadS,
    },
    nowS,
  )
}

/** Without what is too old to count; null when nothing is left. */
export function stillGood(lesson: Lesson, nowS: number): Lesson | null {
  const decode = worth(lesson.decode, nowS)
  const prefill = worth(lesson.prefill, nowS)
  return decode === null && prefill === null ? null : { ...lesson, decode, prefill }
}

/** Does nothing where another model goes by the id now. The planner's own estimate takes over when it is there. */
export function teach(gauge: Gauge, lesson: Lesson): void {
  if (gauge.placement.model.sizeBytes !== lesson.sizeBytes) return
  gauge.estimate = lesson.estimate
  if (lesson.decode !== null) gauge.decode = Measured.of(lesson.decode)
  if (lesson.prefill !== null) gauge.prefill = Measured.of(lesson.prefill)
  gauge.measuredLoadS = lesson.loadS
}
