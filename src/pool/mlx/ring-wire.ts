/** Where the ranks of one group reach each other, as this rank must be told it. */
import { mkdtemp, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { PartSpec, PeerAddress } from '../../protocol/pool.ts'
import { freePort } from '../shared/free-port.ts'
import type { Wire } from '../wire/wire.ts'
import type { MlxSettings } from './layout.ts'
import { ringHosts } from './rank-command.ts'

export interface GroupPlace {
  backend: 'ring' | 'jaccl'
  groupFile: string
  coordinator: string | null
  /** The engine's own port on the wire; null when nobody dials this rank. */
  port: number | null
  /** To be offered to peers only when the engine listens there. */
  offerWhenListening: string | null
}

type Spec = Pick<PartSpec, 'rank' | 'size' | 'wire'>

/** RDMA cannot be encrypted: it is used on a link that the owner accepted as isolated, and nowhere else. */
export function backendOf(spec: Spec, settings: MlxSettings): 'ring' | 'jaccl' {
  return spec.wire.mode === 'isolated' && settings.rdma !== null ? 'jaccl' : 'ring'
}

/** A rank of the ring dials the next one; with JACCL all dial rank 0 to agree, and then speak RDMA. */
export function rankDialled({ rank, size }: Spec, backend: 'ring' | 'jaccl'): number | null {
  if (backend === 'ring') return (rank + 1) % size
  return rank === 0 ? null : 0
}

/** Dials the peer that this rank needs and writes the file that MLX reads, into `folder`. */
export async function joinGroup(
  order: { spec: Spec; settings: MlxSettings; wire: Wire; peers: readonly PeerAddress[]; folder: string },
  signal: AbortSignal,
): Promise<GroupPlace> {
  const { spec, settings, wire, peers } = order
  const backend = backendOf(spec, settings)
  const dialled = rankDialled(spec, backend)
  if (dialled !== null) {
    const peer = peers.find(({ rank }) => rank === dialled)
    if (!peer)
      throw new HolonError('pool_wire_failed', `Rank ${spec.rank} was not told where rank ${dialled} is.`)
    await wire.connect([peer], signal)
  }
  const folder = await mkdtemp(join(order.folder, 'mlx-'))
  const groupFile = join(folder, 'group.json')
  if (backend === 'jaccl') {
    await writeFile(groupFile, JSON.stringify(settings.rdma), { mode: 0o600 })
    return { backend, groupFile, ...(await coordinatorOf(spec, wire)), offerWhenListening: null }
  }
  const port = await freePort(wire.engineHost)
  const encrypted = spec.wire.mode === 'encrypted'
  // On an isolated link an offer only tells the address, and MLX itself dials until somebody listens.
  if (!encrypted) wire.offer(ringChannel, port)
  const next = await wire.wayTo(dialled ?? 0, ringChannel)
  const own = `${wire.engineHost}:${port}`
  const hosts = ringHosts({ ...spec, own, next: `${next.host}:${next.port}` })
  await writeFile(groupFile, JSON.stringify(hosts), { mode: 0o600 })
  return { backend, groupFile, coordinator: null, port, offerWhenListening: encrypted ? ringChannel : null }
}

const ringChannel = 'ring'
const coordinatorChannel = 'jaccl'

async function coordinatorOf(spec: Spec, wire: Wire): Promise<{ coordinator: string; port: number | null }> {
  if (spec.rank === 0) {
    const port = await freePort(wire.engineHost)
    wire.offer(coordinatorChannel, port)
    return { coordinator: `${wire.engineHost}:${port}`, port }
  }
  const at = await wire.wayTo(0, coordinatorChannel)
  return { coordinator: `${at.host}:${at.port}`, port: null }
}
