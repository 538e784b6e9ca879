/**
 * How one rank is started: no ssh and no mlx.launch, only its own number and a file that says where the ranks are. Pure.
 */
import type { MlxSettings } from './layout.ts'

/**
 * Stands before mlx_lm.server for three reasons. `init` without `strict` makes a silent group of one when anything is
 * wrong with the environment, and every rank would serve by itself; there is no other sign that the group has formed or
 * that the model is in memory; and a name that is no local path must not be looked for on the network.
 */
const launcher = `
import sys
import mlx.core as mx
group = mx.distributed.init(strict=True, backend=sys.argv.pop(1))
print("holon: joined", group.rank(), group.size(), flush=True)
import mlx_lm.server as server
load = server.sharded_load
def told(*args, **kwargs):
    loaded = load(*args, **kwargs)
    print("holon: loaded", flush=True)
    return loaded
server.sharded_load = told
server.main()
`

export interface RankOrder {
  python: string
  modelPath: string
  settings: MlxSettings
  backend: 'ring' | 'jaccl'
  rank: number
  /** Port of the HTTP server on loopback; rank 0 alone opens one. */
  httpPort: number
  /** The file that MLX reads: of addresses for the ring, of devices for JACCL. */
  groupFile: string
  /** `host:port` of rank 0's side channel; JACCL only. */
  coordinator: string | null
}

export interface RankCommand {
  command: string
  args: string[]
  /** Added to the environment; null takes a variable away. */
  env: Record<string, string | null>
}

export function rankCommand(order: RankOrder): RankCommand {
  const { settings, backend } = order
  const args = ['-c', launcher, backend, '--model', order.modelPath]
  args.push('--host', '127.0.0.1', '--port', String(order.httpPort), '--log-level', 'INFO')
  if (settings.strategy === 'pipeline') args.push('--pipeline')
  return { command: order.python, args, env: { ...cleared, ...offline, ...backendEnv(order) } }
}

/** What a person set for other runs must not reach this one; FAST_SYNCH is faster and can wedge the GPU (mlx #3142). */
const cleared = {
  MLX_RANK: null,
  MLX_HOSTFILE: null,
  MLX_IBV_DEVICES: null,
  MLX_JACCL_COORDINATOR: null,
  MLX_JACCL_RING: null,
  MLX_RING_VERBOSE: null,
  MLX_METAL_FAST_SYNCH: null,
}
const offline = { HF_HUB_OFFLINE: '1', TRANSFORMERS_OFFLINE: '1', PYTHONUNBUFFERED: '1' }

function backendEnv({ backend, rank, groupFile, coordinator }: RankOrder): Record<string, string> {
  if (backend === 'jaccl') {
    return { MLX_RANK: String(rank), MLX_IBV_DEVICES: groupFile, MLX_JACCL_COORDINATOR: coordinator ?? '' }
  }
  // Verbose, because it then says when it takes connections: a relay that dials sooner is refused.
  return { MLX_RANK: String(rank), MLX_HOSTFILE: groupFile, MLX_RING_VERBOSE: '1' }
}

/**
 * The ring's hostfile as this rank must see it. A rank listens at its own entry and dials that of the next rank; the
 * others are only counted, so they are given an address at which nothing can answer.
 */
export function ringHosts(order: { rank: number; size: number; own: string; next: string }): string[][] {
  const { rank, size, own, next } = order
  return Array.from({ length: size }, (_, each) => [
    each === rank ? own : each === (rank + 1) % size ? next : '127.0.0.1:1',
  ])
}
