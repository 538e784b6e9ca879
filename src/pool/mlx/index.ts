import type { PoolEngine } from '../pool-engine.ts'
import { inspectMlx } from './inspect.ts'
import { layoutMlx } from './layout.ts'
import { openMlx } from './open.ts'

/** MLX distributed: mlx_lm.server on every member, over a ring of TCP or over RDMA. */
export const mlxPool: PoolEngine = {
  id: 'mlx',
  title: 'MLX distributed',
  concurrent: false,
  layout: layoutMlx,
  inspect: inspectMlx,
  open: openMlx,
}
