/**
 * Rank 0 as an engine behind a door. mlx_lm.server has no key, and drops or breaks on what it does not know; it is asked
 * under the one name that means the same on every rank.
 */
import { HolonError } from '../../core/errors.ts'
import type { AttachedEngine } from '../../engines/attached-engine.ts'
import { attachMlx } from '../../engines/mlx-server/index.ts'
import { mlxParameters } from '../../engines/mlx-server/parameters.ts'

/** What rank 0 calls the model that all ranks were started with; a path would have to be the same on every machine. */
export const itsOwnModel = 'default_model'

/** In a group mlx_lm.server answers these with an error at best. */
const refused: Record<string, string> = {
  adapters: 'Adapters',
  adapter: 'Adapters',
  draft_model: 'Draft models',
  num_draft_tokens: 'Draft models',
  // A request with a seed is not batched, and an unbatched one whose caller leaves stops rank 0 and not the others.
  seed: 'Seeds',
}

export function pooledMlx(url: string): AttachedEngine {
  const solo = attachMlx({ url, headers: {}, models: [itsOwnModel], parallel: 1 })
  return {
    ...solo,
    title: 'MLX',
    parameters: new Set([...mlxParameters].filter((name) => !(name in refused))),
    carry: (path, body) => {
      for (const [param, what] of Object.entries(refused)) {
        if (body[param] == null) continue
        throw new HolonError('unsupported_parameter', `${what} cannot be used in a pool of MLX.`, { param })
      }
      return solo.carry(path, body)
    },
  }
}
