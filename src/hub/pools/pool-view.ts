/** A pool as its owner sees it. Pure. */

import type { SpeedFigure } from '../../pool/controller/auto-pin.ts'
import type { PoolStanding } from '../../pool/controller/effects.ts'
import type { GroupPlacement } from '../../pool/preview/placed.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolView } from '../../protocol/pools.ts'

export interface ViewFacts {
  standing: PoolStanding
  nameOf(node: string): string
  /** Of the group that serves or is launched. */
  group: {
    placement: GroupPlacement
    mode: 'encrypted' | 'isolated'
    memoryOf(rank: number): number | null
  } | null
  fallbackNode: string | null
  pooled: SpeedFigure
  solo: SpeedFigure & { node: string | null }
  choice: string
}

export function poolView(facts: ViewFacts): PoolView {
  const { standing, nameOf, group, fallbackNode } = facts
  const { wish } = standing
  const falls = standing.service === 'none' && fallbackNode !== null
  return {
    name: wish.name,
    model: wish.model,
    engine: wish.engine,
    fallback: wish.fallback,
    phase: standing.phase,
    service: falls ? 'fallback' : standing.service,
    servedBy: falls
      ? fallbackNode
      : standing.service === 'solo' && standing.solo
        ? nameOf(standing.solo)
        : null,
    reason: standing.reason,
    progress: standing.progress,
    members: standing.members.map(({ node, ...member }) => {
      const rank = standing.ranks.indexOf(node)
      const inGroup = rank !== -1 && group !== null
      return {
        ...member,
        node: nameOf(node),
        rank: rank === -1 ? null : rank,
        layers: inGroup ? group.placement.plan.members[rank]?.layers || null : null,
        plannedBytes: inGroup ? plannedBytes(group.placement, rank) : null,
        memoryBytes: inGroup ? group.memoryOf(rank) : null,
        // A cluster's machines have ways of their own.
        wire: inGroup && standing.ranks.length > 1 ? group.mode : null,
      }
    }),
    contextTokens: group?.placement.plan.contextTokens ?? wish.contextTokens,
    pooled: facts.pooled,
    solo: facts.solo,
    choice: facts.choice,
    readySinceMs: standing.readySinceMs,
    nextTryMs: standing.nextTryMs,
  }
}

/** A cluster's one member stands for all of its machines. */
function plannedBytes({ engine, placement }: GroupPlacement, rank: number): number | null {
  const rows = clusterEngineIds.has(engine.id) ? placement.memory : placement.memory.slice(rank, rank + 1)
  return rows.length === 0 ? null : rows.reduce((sum, { totalBytes }) => sum + totalBytes, 0)
}
