/** A link as the planner wants it: measured, or what the label of the interfaces lets one expect, named as assumed. Pure. */
import { type LinkSpec, parseLink } from '../../planner/index.ts'
import type { PairLink } from '../../pool/preview/question.ts'
import type { LinkView } from '../../protocol/pools.ts'
import type { Way } from './ways.ts'

export function measuredLink(link: LinkView, back: LinkView | null): PairLink | null {
  const { probe } = link
  if (probe === null) return null
  const other = back?.probe ?? probe
  // A round trip and both directions' worst: every token goes there and comes back.
  const bytesPerS = Math.max(1, Math.min(probe.throughputBytesS, other.throughputBytesS))
  const rttMs = Math.max(probe.rttMs, other.rttMs)
  const spec: LinkSpec = {
    id: `measured:${link.from}-${link.to}`,
    name: `${link.kind} (${(bytesPerS / 1e6).toFixed(0)} MB/s, ${rttMs.toFixed(2)} ms)`,
    bytesPerS,
    latencyS: rttMs / 2000,
    transport: link.kind === 'Wi-Fi' ? 'wifi' : 'tcp',
    source: 'measured between the two',
    unverified: false,
  }
  return {
    spec,
    measured: true,
    warnings: link.warnings,
    ends: [link.interface.name, link.peerInterface.name],
  }
}

export function assumedLink(way: Way | null): PairLink {
  const spec = parseLink(way === null ? 'eth-1g' : labelOf(way)) ?? parseLink('eth-1g')
  if (spec === null) throw new Error('the facts have no 1 GbE')
  const warnings = way === null ? ['No network was found that both are on: 1 GbE assumed.'] : []
  const ends = way && ([way.from.name, way.to.name] as const)
  return { spec: { ...spec, name: `${spec.name}, assumed` }, measured: false, warnings, ends }
}

function labelOf({ kind, from, to }: Way): string {
  const gbit = Math.min(from.lineBitS ?? 1e9, to.lineBitS ?? 1e9) / 1e9
  if (kind === 'same box') return 'loopback'
  if (kind === 'Wi-Fi') return 'wifi6'
  if (kind === 'Thunderbolt') return gbit >= 80 ? 'tb5-tcp' : 'tb4-tcp'
  return `${Math.max(1, gbit)} gbe`
}
