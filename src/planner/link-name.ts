import { type LinkFact, linkById, links, nearest } from '../facts/index.ts'

/** A link between machines as the planner uses it, read from an id or from words ("TB5 RDMA", "50GbE TCP", "Wi-Fi"). */
export interface LinkSpec {
  id: string
  name: string
  /** Usable bytes per second in one direction. */
  bytesPerS: number
  /** One-way latency that an engine's message sees, seconds. */
  latencyS: number
  transport: 'rdma' | 'tcp' | 'wifi' | 'internet' | 'local'
  source: string
  unverified: boolean
}

const us = 1e-6

function firstNumber(fact: LinkFact, keys: string[]): number | null {
  for (const key of keys) {
    const value = fact.latency_us_oneway[key]
    if (typeof value === 'number') return value
  }
  return null
}

function spec(
  fact: LinkFact,
  transport: LinkSpec['transport'],
  latencyUs: number,
  assumedLatency: boolean,
): LinkSpec {
  return {
    id: fact.id,
    name: fact.name,
    bytesPerS: (fact.usable_gb_s ?? (fact.raw_gbit_s ?? 10) / 16) * 1e9,
    latencyS: latencyUs * us,
    transport,
    source: fact.source,
    unverified: (fact.unverified ?? false) || assumedLatency,
  }
}

/** TCP through a kernel, where the survey found no figure: about what a tuned gigabit LAN shows. */
const TCP_DEFAULT_US = 60
/** MLX's own primitive over Thunderbolt RDMA, measured 25 to 31 us; the verbs below it take 4. */
const RDMA_DEFAULT_US = 15

export function linkFromFact(fact: LinkFact): LinkSpec {
  const rdma = firstNumber(fact, ['rdma_mlx_primitive', 'rdma', 'rdma_verbs'])
  const tcp = firstNumber(fact, ['tcp']) ?? fact.planner_default_tcp_us ?? null
  if (fact.id.startsWith('wifi')) return spec(fact, 'wifi', tcp ?? 5000, tcp === null)
  if (/nvlink|pcie|ultrafusion/.test(fact.id)) return spec(fact, 'local', 10, true)
  if (rdma !== null && tcp === null && !/tcp/.test(fact.id) && !fact.id.startsWith('eth-10'))
    return spec(fact, 'rdma', rdma, false)
  return spec(fact, 'tcp', tcp ?? TCP_DEFAULT_US, tcp === null)
}

function ethernet(gbit: number, rdma: boolean): LinkSpec {
  return {
    id: `eth-${gbit}g${rdma ? '-rdma' : ''}`,
    name: `${gbit} GbE ${rdma ? 'RDMA' : 'TCP'}`,
    bytesPerS: (gbit * 1e9 * 0.94) / 8,
    latencyS: (rdma ? RDMA_DEFAULT_US : gbit <= 1 ? 75 : TCP_DEFAULT_US) * us,
    transport: rdma ? 'rdma' : 'tcp',
    source: '94 % of the line rate; latency of the class',
    unverified: true,
  }
}

/** Null when the text names no link the facts know or can be told from its words. */
export function parseLink(text: string): LinkSpec | null {
  const exact = linkById(text.trim())
  if (exact) return linkFromFact(exact)
  const lower = text.toLowerCase()
  const rdma = /rdma|roce|iwarp|jaccl|infiniband|rocev2/.test(lower) && !/ambiguous/.test(lower)
  if (/loopback|same box|localhost/.test(lower))
    return {
      id: 'loopback',
      name: 'loopback',
      bytesPerS: 5e9,
      latencyS: 20 * us,
      transport: 'tcp',
      source: 'class estimate',
      unverified: true,
    }
  if (/internet|wan\b/.test(lower))
    return {
      id: 'internet',
      name: 'Internet',
      bytesPerS: 12e6,
      latencyS: 0.03,
      transport: 'internet',
      source: 'class estimate: 100 Mbit/s, 60 ms round trip',
      unverified: true,
    }
  if (/wi-?fi|wlan/.test(lower)) return linkFromFact(linkById('wifi6') as LinkFact)
  if (/usb4.*nhi|nhi userspace/.test(lower)) {
    const usb = linkFromFact(linkById('usb4-linux-tcp') as LinkFact)
    return {
      ...usb,
      id: 'usb4-linux-nhi',
      name: 'USB4, user-space NHI',
      transport: 'rdma',
      latencyS: 11 * us,
    }
  }
  if (/tb5|thunderbolt 5/.test(lower))
    return linkFromFact(linkById(rdma || /not stated/.test(lower) ? 'tb5-rdma' : 'tb5-tcp') as LinkFact)
  if (/tb4|usb4|thunderbolt/.test(lower)) return linkFromFact(linkById('tb4-tcp') as LinkFact)
  const gbit = /(\d+(?:\.\d+)?) ?(?:gbe|gbit|gb\/s|g\b)/.exec(lower)
  if (/200 ?gbe|cx-?7|connectx-7/.test(lower) && !/tcp/.test(lower))
    return linkFromFact(linkById('cx7-200g-dgx-spark') as LinkFact)
  if (gbit) return ethernet(Number(gbit[1]), rdma)
  if (/vpc|cloud/.test(lower)) return ethernet(10, false)
  if (/ethernet|tcp|lan/.test(lower)) return ethernet(rdma ? 25 : 2.5, rdma)
  return null
}

export const linkNamesNear = (text: string): string[] =>
  nearest(
    text,
    links.map((link) => link.id),
  )
