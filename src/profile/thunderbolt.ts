/** A Mac's Thunderbolt ports and what is plugged into them, from `system_profiler SPThunderboltDataType -json`. */
import type { ThunderboltPort } from '../protocol/machine.ts'
import { profilerEntries } from './profiler-entries.ts'

interface Bus {
  domain_uuid_key?: string
  _items?: Peer[]
  [receptacleTag: `receptacle_${number}_tag`]: Receptacle | undefined
}
interface Receptacle {
  current_speed_key?: string
  receptacle_id_key?: string
  receptacle_status_key?: string
}
interface Peer {
  _name?: string
  domain_uuid_key?: string
  services_title?: { protocol_id_key?: number }[]
}

/** The service by which a Mac announces RDMA over Thunderbolt. */
const RDMA_SERVICE = 64_087

/**
 * One entry per port. An idle port names its capability ("Up to 80 Gb/s"), a connected one the speed of the link. A peer
 * is a Mac when it has a `domain_uuid_key`; docks and drives have none. Buses without a receptacle are inside the machine.
 */
export function parseThunderbolt(text: string | null): ThunderboltPort[] {
  return profilerEntries<Bus>(text, 'SPThunderboltDataType').flatMap((bus) => {
    const port = bus.receptacle_1_tag
    if (!port) return []
    const receptacle = Number.parseInt(port.receptacle_id_key ?? '', 10)
    const peer = (Array.isArray(bus._items) ? bus._items : []).find((item) => item.domain_uuid_key)
    const gbitS = /(\d+(?:\.\d+)?) Gb\/s/.exec(port.current_speed_key ?? '')?.[1]
    return {
      receptacle: Number.isFinite(receptacle) ? receptacle : null,
      domain: bus.domain_uuid_key ?? null,
      gbitS: gbitS === undefined ? null : Number(gbitS),
      connected: port.receptacle_status_key === 'receptacle_connected',
      peerName: peer?._name ?? null,
      peerDomain: peer?.domain_uuid_key ?? null,
      peerRdma: peer?.services_title?.some((service) => service.protocol_id_key === RDMA_SERVICE) ?? false,
    }
  })
}
