import { constants as generated } from './constants.generated.ts'
import type { Effects } from './speed/terms.ts'

/** Ratio of real to predicted speed between which the stated share of held-out measurements lay. */
export interface Interval {
  low: number
  high: number
  /** Measurements it was read from. */
  rows: number
}

export interface IntervalSet {
  /** The chip is among the measured ones. */
  calibrated: Interval
  /** The chip has never been measured: its family's figures are used. */
  modelled: Interval
  pooled: Interval
}

export interface Constants {
  /** How and from what they were made. */
  provenance: { command: string; rows: number; sources: number; note: string }
  decode: Effects
  prefill: Effects
  intervals: { share: number; decode: IntervalSet; prefill: IntervalSet }
}

/** The fitted constants that ship with the planner (`npm run calibrate` makes them anew). */
export const constants: Constants = generated as unknown as Constants
