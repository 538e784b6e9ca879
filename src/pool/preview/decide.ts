/** What a pool does with the members it has: a group of all of them, one alone, or nothing, and why. Pure. */
import { HolonError } from '../../core/errors.ts'
import type { Placement } from '../../planner/index.ts'
import { clusterEngineIds } from '../../protocol/pool.ts'
import type { PoolEngine } from '../pool-engine.ts'
import type { Candidate } from './member.ts'
import type { GroupPlacement, Obstacle } from './placed.ts'
import { placeGroup, placeSolo } from './placement.ts'
import type { PoolQuestion } from './question.ts'

export type Decision =
  | { kind: 'group'; group: GroupPlacement; solo: SoloChoice | null }
  | { kind: 'solo'; solo: SoloChoice }
  | { kind: 'refused'; obstacle: Obstacle }

/** The member that would serve the model fastest alone. */
export interface SoloChoice {
  node: string
  name: string
  placement: Placement
}

export function decide(question: PoolQuestion, engine: PoolEngine, members: readonly Candidate[]): Decision {
  const placed = placeGroup(question, engine, members)
  // A cluster's one member is no machine of its own.
  const solo = clusterEngineIds.has(engine.id) ? null : bestSolo(question, members)
  if ('group' in placed) return { kind: 'group', group: placed.group, solo }
  // What is left of a pool may be one machine. Two or more that cannot pool are told why instead.
  if (members.length === 1 && solo !== null) return { kind: 'solo', solo }
  return {
    kind: 'refused',
    obstacle:
      members.length === 1 && !clusterEngineIds.has(engine.id)
        ? alone(question, members, placed.obstacle)
        : placed.obstacle,
  }
}

export function bestSolo(question: PoolQuestion, members: readonly Candidate[]): SoloChoice | null {
  let best: SoloChoice | null = null
  for (const member of members) {
    const placement = placeSolo(question, member)
    if (placement === null) continue
    if (best === null || placement.decodeTokS.expected > best.placement.decodeTokS.expected)
      best = { node: member.node, name: member.name, placement }
  }
  return best
}

function alone(question: PoolQuestion, [member]: readonly Candidate[], obstacle: Obstacle): Obstacle {
  if (!member) return obstacle
  const { model } = question
  const why =
    member.facts?.modelPath == null
      ? `does not have ${model}`
      : question.servesAlone(member.node)
        ? `cannot hold ${model} alone`
        : `has no engine of its own that reads ${model}`
  const message = `Only ${member.name} is left, which ${why}.`
  return { error: new HolonError('pool_impossible', message), member: null }
}
