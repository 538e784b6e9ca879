/**
 * How many layers each machine of a pipeline holds. For one request the stage times add up, so the fastest machines
 * take all they can hold; for many requests the slowest stage sets the pace, so times are levelled. Both are exact
 * for their objective (split.test.ts compares with exhaustive search).
 */

export interface Stage {
  /** Seconds one layer takes here. */
  secondsPerLayer: number
  /** Whole layers that fit here, from memory. */
  capacity: number
  /** Seconds that using this machine at all costs (a hop and the engine's round trips). */
  fixedSeconds: number
}

export type SplitObjective = 'latency' | 'throughput'

/** Layers per stage, or null when the layers do not fit. A stage may get none: it is then left out. */
export function splitLayers(
  stages: readonly Stage[],
  layers: number,
  objective: SplitObjective,
): number[] | null {
  const room = stages.reduce((sum, stage) => sum + Math.min(layers, Math.max(0, stage.capacity)), 0)
  if (room < layers || layers <= 0) return null
  return objective === 'latency' ? forLatency(stages, layers) : forThroughput(stages, layers)
}

/** Seconds of a split under an objective; the test's exhaustive search minimises the same. */
export function splitCost(
  stages: readonly Stage[],
  split: readonly number[],
  objective: SplitObjective,
): number {
  const times = stages.map((stage, i) => {
    const count = split[i] ?? 0
    return count > 0 ? count * stage.secondsPerLayer + stage.fixedSeconds : 0
  })
  return objective === 'latency' ? times.reduce((a, b) => a + b, 0) : Math.max(...times)
}

function greedy(stages: readonly Stage[], order: readonly number[], layers: number): number[] | null {
  const split = stages.map(() => 0)
  let left = layers
  for (const i of order) {
    const take = Math.min(left, Math.max(0, Math.floor(stages[i]!.capacity)))
    split[i] = take
    left -= take
  }
  return left > 0 ? null : split
}

/** Above this many machines of different kinds the choice of which to use is made greedily. */
const EXACT_KINDS = 12
const EXACT_CHOICES = 4096

/**
 * Which machines to use is chosen exactly (equal machines count as one kind), and within a choice the fastest fill up
 * first: with linear stage times that is optimal by exchange.
 */
function forLatency(stages: readonly Stage[], layers: number): number[] {
  const bySpeed = stages
    .map((_, i) => i)
    .sort((a, b) => stages[a]!.secondsPerLayer - stages[b]!.secondsPerLayer || a - b)
  const kinds = new Map<string, number[]>()
  for (const i of bySpeed) {
    const { secondsPerLayer, capacity, fixedSeconds } = stages[i]!
    const key = `${secondsPerLayer}|${capacity}|${fixedSeconds}`
    const kind = kinds.get(key)
    if (kind) kind.push(i)
    else kinds.set(key, [i])
  }
  const groups = [...kinds.values()]
  let best = greedy(stages, bySpeed, layers) as number[]
  let bestCost = splitCost(stages, best, 'latency')
  const combinations = groups.reduce((product, group) => product * (group.length + 1), 1)
  if (groups.length > EXACT_KINDS || combinations > EXACT_CHOICES) return best
  const counts = groups.map(() => 0)
  for (let code = 1; code < combinations; code++) {
    let rest = code
    for (let g = 0; g < groups.length; g++) {
      counts[g] = rest % (groups[g]!.length + 1)
      rest = Math.floor(rest / (groups[g]!.length + 1))
    }
    const chosen = new Set(groups.flatMap((group, g) => group.slice(0, counts[g])))
    const split = greedy(
      stages,
      bySpeed.filter((i) => chosen.has(i)),
      layers,
    )
    if (!split) continue
    const cost = splitCost(stages, split, 'latency')
    if (cost < bestCost - 1e-15) {
      best = split
      bestCost = cost
    }
  }
  return best
}

/** Smallest time T within which the stages together can do all layers: each takes floor((T - fixed) / per layer). */
function forThroughput(stages: readonly Stage[], layers: number): number[] {
  const within = (limit: number) =>
    stages.map((stage) =>
      Math.max(
        0,
        Math.min(
          Math.floor(stage.capacity),
          layers,
          Math.floor((limit - stage.fixedSeconds) / stage.secondsPerLayer + 1e-9),
        ),
      ),
    )
  // The answer is one of the finitely many stage times; bisect among them.
  const times = stages
    .flatMap((stage) =>
      Array.from(
        { length: Math.min(layers, Math.floor(stage.capacity)) },
        (_, n) => (n + 1) * stage.secondsPerLayer + stage.fixedSeconds,
      ),
    )
    .sort((a, b) => a - b)
  let low = 0
  let high = times.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    const total = within(times[middle]!).reduce((a, b) => a + b, 0)
    if (total >= layers) high = middle
    else low = middle + 1
  }
  const split = within(times[low]!)
  // Some stages may have taken more than is left: hand the surplus back from the slowest.
  let surplus = split.reduce((a, b) => a + b, 0) - layers
  const slowestFirst = stages
    .map((_, i) => i)
    .sort((a, b) => stages[b]!.secondsPerLayer - stages[a]!.secondsPerLayer)
  for (const i of slowestFirst) {
    const give = Math.min(surplus, split[i]!)
    split[i]! -= give
    surplus -= give
  }
  return split
}
