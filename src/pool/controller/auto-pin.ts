/**
 * Whether a model that also fits one machine runs pooled or there. Pooled only while it reaches 0.6 of the one machine's
 * speed: below that the pool costs memory on several machines and makes every answer slower. Measured speeds count; the
 * planner's stand in until there are some. A switch costs a load, so it needs a clear reason and some time in between. Pure.
 */

export interface SpeedFigure {
  /** Decode, tokens per second; null when nobody knows. */
  predictedTokS: number | null
  /** Null before there were enough answers. */
  measuredTokS: number | null
}

export interface PinQuestion {
  /** The member that runs it alone now; null while it runs pooled. */
  pinned: string | null
  /** Its one member speaks for a cluster: there is nothing to choose between. */
  isCluster?: boolean
  pooled: SpeedFigure
  /** The member that would be fastest alone; null when it fits none. */
  solo: (SpeedFigure & { node: string; name: string }) | null
  /** Milliseconds since the last switch. */
  sinceSwitchMs: number
}

export interface PinChoice {
  /** Id of the member that shall run it alone; null for pooled. */
  pin: string | null
  /** One sentence. */
  why: string
}

export const keepPooledAbove = 0.6
/** Coming back needs more than staying, so that noise does not move a model to and fro. */
export const poolAgainAbove = 0.75
export const leastBetweenMs = 5 * 60_000

const figure = ({ measuredTokS, predictedTokS }: SpeedFigure): string =>
  measuredTokS !== null
    ? `${measuredTokS.toFixed(1)} tok/s measured`
    : `${(predictedTokS ?? 0).toFixed(1)} tok/s expected`

export function choosePin({ pinned, isCluster, pooled, solo, sinceSwitchMs }: PinQuestion): PinChoice {
  if (isCluster) return { pin: null, why: 'Its cluster answers: no member could by itself.' }
  if (solo === null) return { pin: null, why: 'It runs pooled: no single member can serve it.' }
  const alone = solo.measuredTokS ?? solo.predictedTokS
  const together = pooled.measuredTokS ?? pooled.predictedTokS
  if (alone === null || together === null || alone <= 0)
    return { pin: pinned, why: 'The speeds of both placements are not known yet.' }
  const share = together / alone
  const figures = `${figure(pooled)} pooled, ${figure(solo)} on ${solo.name} alone`
  const wanted = share >= (pinned === null ? keepPooledAbove : poolAgainAbove) ? null : solo.node
  const switches = (wanted === null) !== (pinned === null)
  if (switches && sinceSwitchMs < leastBetweenMs) {
    const minutes = Math.ceil((leastBetweenMs - sinceSwitchMs) / 60_000)
    const other = wanted === null ? 'pooled' : `on ${solo.name} alone`
    return { pin: pinned, why: `It will run ${other} in ${minutes} min if that holds: ${figures}.` }
  }
  const percent = `${Math.round(share * 100)} %`
  if (wanted === null)
    return { pin: null, why: `It runs pooled, at ${percent} of the speed of one machine: ${figures}.` }
  const limit = `${Math.round((pinned === null ? keepPooledAbove : poolAgainAbove) * 100)} %`
  // Another member may have become the faster one; it stays where it is loaded.
  return {
    pin: pinned ?? solo.node,
    why: `It runs on one machine: pooled it reaches ${percent} of that speed, and ${limit} are wanted (${figures}).`,
  }
}
