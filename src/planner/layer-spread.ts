/** How many layers each machine of a pipeline gets, by the rule of its engine. Pure. */
import type { Machine } from './machines.ts'
import { type SplitObjective, type Stage, splitLayers } from './split.ts'

/**
 * `best` leaves out machines that only slow it down, `all` uses every one; `even` and `memory` (in proportion to what is
 * free) are for engines that know no other.
 */
export type LayerSpread = 'best' | 'all' | 'even' | 'memory'

export interface ToSpread {
  layers: number
  /** One per machine, in the machines' order. */
  stages: readonly Stage[]
  machines: readonly Machine[]
  objective: SplitObjective
}

/** Layers per machine; null when together they cannot hold them. */
export function spreadLayers(spread: LayerSpread, to: ToSpread): readonly number[] | null {
  const { layers, stages, machines, objective } = to
  if (spread === 'even') return evenly(layers, machines.length)
  if (spread === 'memory') return byMemory(layers, machines)
  const best = splitLayers(stages, layers, objective)
  return best && spread === 'all' ? givenToAll(best, stages) : best
}

export function whyThisSpread(spread: LayerSpread, objective: SplitObjective): string {
  if (spread === 'even') return 'this engine splits evenly'
  if (spread === 'memory') return 'this engine splits by free memory'
  return objective === 'latency'
    ? 'the fastest memory filled first, since stage times add up'
    : 'stage times levelled, since the slowest sets the pace'
}

/** Gives whoever got nothing one layer of whoever has most: the owner named these machines, and all shall take part. */
function givenToAll(split: readonly number[], stages: readonly Stage[]): number[] {
  const given = [...split]
  given.forEach((count, i) => {
    const richest = given.indexOf(Math.max(...given))
    if (count > 0 || stages[i]!.capacity < 1 || given[richest]! < 2) return
    given[richest] = given[richest]! - 1
    given[i] = 1
  })
  return given
}

const evenly = (layers: number, count: number): number[] =>
  Array.from(
    { length: count },
    (_, i) => Math.floor(((i + 1) * layers) / count) - Math.floor((i * layers) / count),
  )

/** Largest remainder, and a layer for each. */
function byMemory(layers: number, machines: readonly Machine[]): number[] {
  const free = machines.map(({ usable }) => Math.max(0, usable.limitBytes))
  const all = free.reduce((sum, bytes) => sum + bytes, 0)
  if (all === 0 || machines.length > layers) return evenly(layers, machines.length)
  const spare = layers - machines.length
  const exact = free.map((bytes) => (bytes / all) * spare)
  const split = exact.map((share) => 1 + Math.floor(share))
  const byRest = exact
    .map((share, at) => ({ at, rest: share - Math.floor(share) }))
    .sort((a, b) => b.rest - a.rest)
  const missing = layers - split.reduce((sum, count) => sum + count, 0)
  for (const { at } of byRest.slice(0, missing)) split[at] = (split[at] ?? 0) + 1
  return split
}
