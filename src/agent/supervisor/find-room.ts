/** Who makes room for a model, pure. What is answering is never asked to leave; it may be let end its answers. */

export interface Holder {
  model: string
  reservedBytes: number
  /**
   * `going`: its memory is about to be freed. `idle`: it may be asked to leave. `busy`: it is answering, and may be let
   * end. `starting`: it is being loaded for somebody.
   */
  use: 'going' | 'idle' | 'busy' | 'starting'
  /** The order of leaving: a higher one leaves after all lower ones. */
  rank: number
  /** What its leaving costs: seconds of loading that callers will wait for, by how often it is asked for. */
  cost: number
  /** When it last answered: between equals, the longest unused leaves first. Milliseconds, as all times here. */
  usedAt: number
  /** It was brought back a moment ago, and does not leave before this. */
  staysUntil: number
}

export type Room =
  | { kind: 'now' }
  /** After these have left, or after those have that are leaving already. */
  | { kind: 'soon'; leave: string[] }
  /** Idle ones suffice, but they stay until then. */
  | { kind: 'later'; atMs: number }
  /** Only when these have ended their answers; none where even that is not enough yet. */
  | { kind: 'busy'; end: string[] }

export function findRoom(
  needBytes: number,
  budgetBytes: number,
  holders: readonly Holder[],
  nowMs: number,
): Room {
  const missing = needBytes - (budgetBytes - sumOf(holders))
  if (missing <= 0) return { kind: 'now' }
  const stillMissing = missing - sumOf(holders.filter((holder) => holder.use === 'going'))
  const idle = holders.filter((holder) => holder.use === 'idle')
  const free = idle.filter((holder) => holder.staysUntil <= nowMs)
  if (sumOf(free) >= stillMissing) return { kind: 'soon', leave: cheapest(free, stillMissing) }
  if (sumOf(idle) >= stillMissing) return { kind: 'later', atMs: whenEnough(idle, stillMissing) }
  const could = holders.filter((holder) => holder.use === 'idle' || holder.use === 'busy')
  if (sumOf(could) < stillMissing) return { kind: 'busy', end: [] }
  const chosen = new Set(cheapest(could, stillMissing))
  return {
    kind: 'busy',
    end: could.filter(({ use, model }) => use === 'busy' && chosen.has(model)).map(({ model }) => model),
  }
}

/** As few and as little missed as can be: by rank, then by cost per byte; and none that is not needed after all. */
function cheapest(holders: readonly Holder[], bytes: number): string[] {
  const sorted = [...holders].sort(
    (a, b) =>
      a.rank - b.rank ||
      a.cost / Math.max(1, a.reservedBytes) - b.cost / Math.max(1, b.reservedBytes) ||
      a.usedAt - b.usedAt,
  )
  const chosen: Holder[] = []
  for (const holder of sorted) {
    if (sumOf(chosen) >= bytes) break
    chosen.push(holder)
  }
  for (const holder of [...chosen].reverse()) {
    const without = chosen.filter((other) => other !== holder)
    if (sumOf(without) >= bytes) chosen.splice(chosen.indexOf(holder), 1)
  }
  return chosen.map((holder) => holder.model)
}

function whenEnough(idle: readonly Holder[], bytes: number): number {
  let found = 0
  for (const holder of [...idle].sort((a, b) => a.staysUntil - b.staysUntil)) {
    found += holder.reservedBytes
    if (found >= bytes) return holder.staysUntil
  }
  return Number.POSITIVE_INFINITY
}

function sumOf(holders: readonly Holder[]): number {
  return holders.reduce((total, holder) => total + holder.reservedBytes, 0)
}
