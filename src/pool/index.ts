/** The distributed engines, in one list: the hub lays a plan out with them, a member inspects and opens its part. */
import { HolonError } from '../core/errors.ts'
import type { PoolEngineId } from '../protocol/pool.ts'
import { llamaRpc } from './llama-rpc/index.ts'
import type { PoolEngine } from './pool-engine.ts'

/** In order of preference where several can run one plan. A folder each beside this file. */
export const poolEngines: readonly PoolEngine[] = [llamaRpc]

/** @throws HolonError pool_impossible */
export function poolEngine(id: PoolEngineId, engines: readonly PoolEngine[] = poolEngines): PoolEngine {
  const engine = engines.find((candidate) => candidate.id === id)
  if (engine) return engine
  const known = engines.map((candidate) => candidate.id).join(', ')
  throw new HolonError('pool_impossible', `This version of Holon has no distributed engine ${id}.`, {
    hint: known ? `Use one of: ${known}.` : 'Update Holon on this machine.',
  })
}
