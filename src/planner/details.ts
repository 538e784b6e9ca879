import { bestDisaggregated, type Disaggregated } from './disaggregated.ts'
import { type InFlight, inFlight } from './in-flight.ts'
import { parseLink } from './link-name.ts'
import { type LoadTime, loadTime } from './load-time.ts'
import { kindOf, type Machine } from './machines.ts'
import type { Placement } from './placements.ts'
import type { PlanRequest } from './request.ts'
import { type Draft, type Speculation, speculation } from './speculation.ts'

/** What a plan says beyond fit and speed, worked out only when shown: loading, many requests, drafting, split prefill. */

export interface PlacementDetails {
  load: LoadTime
  /** Throughput of a pipeline with several requests under way; null for other placements. */
  inFlight: InFlight[] | null
  speculation: Speculation | null
}

export function placementDetails(
  placement: Placement,
  draft: Draft | null,
  driveBytesPerS?: number,
): PlacementDetails {
  const parts = placement.memory.map((row) => row.weightsBytes)
  return {
    load: loadTime(parts, placement.setup.link, driveBytesPerS),
    inFlight: placement.strategy === 'pipeline' ? inFlight(placement.setup, placement.shares) : null,
    speculation: draft ? speculation(placement.setup, placement.shares, draft) : null,
  }
}

/** Prefill on one machine and decode on another, where that shortens the wait for the first token. */
export function splitPrefill(request: PlanRequest, machines: readonly Machine[]): Disaggregated | null {
  const kinds = [...new Map(machines.map((machine) => [kindOf(machine), machine])).values()]
  const link = request.link ?? parseLink('eth-10g')
  return link && kinds.length > 1 ? bestDisaggregated(request, kinds, link) : null
}
