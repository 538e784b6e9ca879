/**
 * A member as a plan sees it: what it said of itself and what it brought when asked, with the memory that is left on it
 * now. A member that claims more memory than its machine has is not believed.
 */
import { formatBytes } from '../../core/units.ts'
import { type Machine, machineFromProfile, type Pace } from '../../planner/index.ts'
import type { NodeState } from '../../protocol/node.ts'
import type { MemberFacts } from '../../protocol/pool.ts'

export interface Candidate {
  /** Id of the node, and how people call it. */
  node: string
  name: string
  state: NodeState
  /** Null with the reason when it did not say what it brings. */
  facts: MemberFacts | null
  silence: string | null
  /** Bytes on it that this very pool holds now and gives back before it is formed anew. */
  ownBytes: number
  /** What the answers it gave so far say of its speed; null when there were none. */
  pace: Pace | null
}

/** Null when its hardware is not known yet. */
export function machineOf(member: Candidate): Machine | null {
  const { state, facts, ownBytes } = member
  if (state.profile === null) return null
  const machine = machineFromProfile(state.profile, member.name)
  const { budgetBytes, usedBytes } = facts?.memory ?? state.memory
  const others = Math.max(0, usedBytes - ownBytes)
  const limitBytes = Math.max(0, Math.min(budgetBytes, machine.memoryBytes) - others)
  const how =
    others > 0
      ? `${machine.usable.how}, less ${formatBytes(others)} in use by other models`
      : machine.usable.how
  return {
    ...machine,
    pace: member.pace,
    usable: { limitBytes, reserveBytes: machine.memoryBytes - limitBytes, how, estimated: false },
  }
}

/** What could be freed on a member that is short, in words; empty when nothing could. */
export function whatCouldGo({ name, state, ownBytes }: Candidate): string {
  // What this very pool holds goes by itself.
  const loaded = ownBytes > 0 ? [] : state.running.filter((model) => (model.memoryBytes ?? 0) > 0)
  if (loaded.length === 0) return ''
  const named = loaded.slice(0, 3).map(({ id, memoryBytes }) => `${id} (${formatBytes(memoryBytes ?? 0)})`)
  const pool = loaded
    .map(({ id }) => /^(.+), part \d+ of \d+$/.exec(id)?.[1])
    .find((one) => one !== undefined)
  const order = pool === undefined ? 'holon unload MODEL' : `holon pool remove ${pool}`
  return ` In memory on ${name} now: ${named.join(', ')}; \`${order}\` frees it.`
}
