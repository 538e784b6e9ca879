/** A cluster that is one already: nothing to lay out but its one part, on the member that is attached to it. */
import type { PoolPlan } from '../pool-engine.ts'
import { impossible, refuseUnable } from '../shared/refuse-plan.ts'

export function layoutAttached(plan: PoolPlan): Record<string, unknown>[] {
  const { members, model } = plan
  const [only, ...others] = members
  if (only === undefined || others.length > 0) {
    throw impossible(
      `A cluster that is already there is one member of a pool, and ${members.length} were named.`,
      'Name only the node that is attached to it (HOLON_ENGINE and HOLON_ENGINE_URL).',
    )
  }
  refuseUnable(plan, 'It')
  if (only.facts.modelPath === null) {
    throw impossible(
      `${only.node} is attached to a server that does not offer ${model}.`,
      'See `holon models`.',
    )
  }
  return [{}]
}
