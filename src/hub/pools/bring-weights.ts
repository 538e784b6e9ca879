/** The files of a model for the members of a group, before any part is opened. */
import { systemClock } from '../../core/clock.ts'
import type { GroupPlacement } from '../../pool/preview/placed.ts'
import { distributeWeights, type WeightNode } from '../../pool/weights/distribute.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { PoolEngineId } from '../../protocol/pool.ts'

/** Engines that read files on their workers too; the others' heads have what they need already. */
const readOnEveryMember: ReadonlySet<PoolEngineId> = new Set(['mlx', 'vllm'])

/** @throws HolonError as distributeWeights */
export async function bringWeights(order: {
  model: string
  plan: GroupPlacement
  handles: readonly NodeHandle[]
  hosts: readonly (string | null)[]
  signal: AbortSignal
  onProgress(progress: LoadProgress): void
}): Promise<void> {
  const { model, plan, handles, hosts, signal, onProgress } = order
  const { engine } = plan
  if (!readOnEveryMember.has(engine.id)) return
  // All have it whole already: nothing to hash, and nothing to send.
  if (plan.plan.members.every(({ facts }) => facts.modelPath !== null)) return
  const members = handles.flatMap(({ name, pool }, rank): WeightNode[] => {
    const host = hosts[rank]
    return pool?.weights && host ? [{ name, weights: pool.weights, host }] : []
  })
  // A member that no network joins, or of an older version, is refused with its reason when its part is opened.
  if (members.length < handles.length) return
  const { strategy } = plan.plan
  await distributeWeights({
    engine: engine.id,
    strategy,
    model,
    members,
    clock: systemClock,
    signal,
    onProgress,
  })
}
