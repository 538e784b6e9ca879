/** What every engine refuses of a plan before anything is started. */
import { HolonError } from '../../core/errors.ts'
import type { PoolPlan } from '../pool-engine.ts'

export function impossible(why: string, hint?: string): HolonError {
  return new HolonError('pool_impossible', why, hint === undefined ? {} : { hint })
}

/** @throws HolonError pool_impossible when a member cannot take part, or when builds differ */
export function refuseUnable({ members }: PoolPlan, title: string): void {
  for (const { node, facts } of members) {
    if (facts.whyNot !== null) throw impossible(`${node} cannot take part: ${facts.whyNot}`)
  }
  const [head, ...others] = members
  for (const { node, facts } of others) {
    if (facts.build === head?.facts.build) continue
    throw impossible(
      `${head?.node} has ${head?.facts.build ?? 'an unknown build'} and ${node} has ${facts.build ?? 'an unknown one'}; ${title} needs the same on all members.`,
      'Install the same version on both.',
    )
  }
}

/** @throws HolonError pool_impossible for a pool of one */
export function refuseAlone({ members }: PoolPlan, title: string): void {
  if (members.length > 1) return
  throw impossible(
    `A pool of ${title} needs two members or more.`,
    'Name more with --nodes, or load the model on one node.',
  )
}
