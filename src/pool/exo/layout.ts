/** exo spreads a model over its own machines; Holon says how and on how many, and has one part, where exo answers. */
import { z } from 'zod'
import type { PoolPlan } from '../pool-engine.ts'
import { impossible, refuseUnable } from '../shared/refuse-plan.ts'

export const exoSettings = z.object({
  /** exo's own words. */
  sharding: z.enum(['Pipeline', 'Tensor']),
})
export type ExoSettings = z.infer<typeof exoSettings>

export function layoutExo(plan: PoolPlan): ExoSettings[] {
  const { members, model, strategy } = plan
  const [only, ...others] = members
  if (only === undefined || others.length > 0) {
    throw impossible(
      `exo finds its machines itself, so a pool of exo has one member, and ${members.length} were named.`,
      'Name only the node on which exo answers.',
    )
  }
  refuseUnable(plan, 'exo')
  if (only.facts.modelPath === null) {
    throw impossible(
      `exo on ${only.node} has not downloaded ${model}.`,
      'Download it in its dashboard first.',
    )
  }
  return [{ sharding: strategy === 'tensor' ? 'Tensor' : 'Pipeline' }]
}
