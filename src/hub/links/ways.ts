/**
 * The ways between two machines: pairs of interfaces on one network. Pure. What kind of cable or radio is behind each,
 * and whether RDMA could run there, is told from what the machines say of themselves.
 */
import { isIPv4 } from 'node:net'
import type { MachineProfile } from '../../protocol/machine.ts'
import type { NetworkInterface } from '../../protocol/pool.ts'
import type { LinkView } from '../../protocol/pools.ts'

export interface Way {
  from: NetworkInterface
  to: NetworkInterface
  kind: LinkView['kind']
  tier: LinkView['tier']
}

/** Best first: a cable of their own, then a network, then radio. */
const ranks: Record<LinkView['kind'], number> = {
  'same box': 0,
  Thunderbolt: 1,
  Ethernet: 2,
  network: 3,
  'Wi-Fi': 4,
}

export function waysBetween(from: readonly NetworkInterface[], to: readonly NetworkInterface[]): Way[] {
  const shared = from.find(
    (one) =>
      one.kind !== 'loopback' &&
      to.some((other) => other.kind !== 'loopback' && other.address === one.address),
  )
  if (shared) return loopbackWay(from, to)
  const ways = from.flatMap((one) =>
    to
      .filter((other) => onOneNetwork(one, other))
      .map((other) => ({ from: one, to: other, ...kindOf(one, other) })),
  )
  return ways.sort((a, b) => ranks[a.kind] - ranks[b.kind] || speed(b) - speed(a))
}

const speed = ({ from, to }: Way): number => Math.min(from.lineBitS ?? 0, to.lineBitS ?? 0)

/** Two agents on one machine speak over its loopback. */
function loopbackWay(from: readonly NetworkInterface[], to: readonly NetworkInterface[]): Way[] {
  const local = (list: readonly NetworkInterface[]) =>
    list.find(({ kind, address }) => kind === 'loopback' && isIPv4(address))
  const [one, other] = [local(from), local(to)]
  return one && other ? [{ from: one, to: other, kind: 'same box', tier: 'same box' }] : []
}

function kindOf(one: NetworkInterface, other: NetworkInterface): Pick<Way, 'kind' | 'tier'> {
  if (one.kind === 'thunderbolt' && other.kind === 'thunderbolt')
    return { kind: 'Thunderbolt', tier: 'Thunderbolt' }
  if (one.kind === 'wifi' || other.kind === 'wifi') return { kind: 'Wi-Fi', tier: 'network' }
  if (one.kind === 'ethernet' && other.kind === 'ethernet') return { kind: 'Ethernet', tier: 'network' }
  return { kind: 'network', tier: 'network' }
}

function onOneNetwork(one: NetworkInterface, other: NetworkInterface): boolean {
  if (one.kind === 'loopback' || other.kind === 'loopback') return false
  if (one.address === other.address) return false
  // Link-local IPv6 needs the zone of the dialling side, which an address alone does not carry.
  if (!isIPv4(one.address) || !isIPv4(other.address)) return false
  if (one.prefix === null || other.prefix === null || one.prefix !== other.prefix) return false
  const mask = one.prefix === 0 ? 0 : (-1 << (32 - one.prefix)) >>> 0
  return (numberOf(one.address) & mask) >>> 0 === (numberOf(other.address) & mask) >>> 0
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => ((sum << 8) | Number(part)) >>> 0, 0)
}

/** Gbit/s from which a Thunderbolt port is of the fifth kind. */
const thunderbolt5 = 80

/** `ready`, or the first thing that stands against RDMA between two Macs; null where no Thunderbolt joins them. */
export function rdmaBetween(one: MachineProfile | null, other: MachineProfile | null): string | null {
  if (!one?.thunderbolt || !other?.thunderbolt) return null
  const domains = new Set(other.thunderbolt.map(({ domain }) => domain).filter((domain) => domain !== null))
  const port = one.thunderbolt.find(
    ({ connected, peerDomain }) => connected && peerDomain !== null && domains.has(peerDomain),
  )
  if (!port) {
    const able = [one, other].every(({ thunderbolt }) =>
      thunderbolt?.some(({ gbitS }) => (gbitS ?? 0) >= thunderbolt5),
    )
    return able ? 'no Thunderbolt cable joins them' : null
  }
  if ((port.gbitS ?? 0) < thunderbolt5)
    return `their cable runs at ${port.gbitS ?? 'unknown'} Gbit/s; RDMA needs Thunderbolt 5 ports and a Thunderbolt 5 cable (80 Gbit/s)`
  for (const machine of [one, other])
    if (!isAtLeast(machine.os.version, 26, 2))
      return `${machine.hostname} runs macOS ${machine.os.version}; RDMA needs 26.2 or later`
  const back = other.thunderbolt.find(({ connected, peerDomain }) => connected && peerDomain === port.domain)
  if (!port.peerRdma)
    return `${other.hostname} does not offer RDMA: run \`rdma_ctl enable\` in its Recovery, then restart it`
  if (!back?.peerRdma)
    return `${one.hostname} does not offer RDMA: run \`rdma_ctl enable\` in its Recovery, then restart it`
  return 'ready'
}

function isAtLeast(version: string, major: number, minor: number): boolean {
  const [a = 0, b = 0] = version.split('.').map(Number)
  return a > major || (a === major && b >= minor)
}
