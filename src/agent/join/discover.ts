/**
 * Hubs on the local network, by mDNS. A convenience: networks that drop multicast are common, so every command takes an
 * address as well.
 */
import { isIPv4 } from 'node:net'
import { Bonjour } from 'bonjour-service'
import { HolonError } from '../../core/errors.ts'

export const serviceType = 'holon'

export interface FoundHub {
  name: string
  url: string
}

/**
 * The hub that answers within `waitMs`, when it is the only one.
 * @throws HolonError hub_not_found, usage when there are several
 */
export async function findHub(options: { signal: AbortSignal; waitMs?: number }): Promise<FoundHub> {
  const hubs = await browse(options.signal, options.waitMs ?? 3_000)
  if (hubs.length === 1) return hubs[0]!
  if (hubs.length === 0) throw new HolonError('hub_not_found', 'No hub was found on the local network.')
  throw new HolonError('usage', `There are ${hubs.length} hubs: ${hubs.map(({ url }) => url).join(', ')}.`, {
    hint: 'Name the one to join: `holon join ADDRESS`.',
  })
}

/** Answers come from strangers: only what makes an address is used of them. */
export function toHub(service: {
  name: string
  port: number
  addresses?: string[]
  referer?: { address: string }
  txt?: unknown
}): FoundHub | null {
  const address = service.addresses?.find((each) => isIPv4(each)) ?? service.referer?.address
  if (address === undefined || !isIPv4(address)) return null
  if (!Number.isInteger(service.port) || service.port < 1 || service.port > 65_535) return null
  const name = service.name.replaceAll(/[^\x20-\x7e]/g, '?').slice(0, 60)
  const tls = (service.txt as { tls?: unknown } | undefined)?.tls === '1'
  return { name, url: `${tls ? 'https' : 'http'}://${address}:${service.port}` }
}

const maxHubs = 20

function browse(signal: AbortSignal, waitMs: number): Promise<FoundHub[]> {
  return new Promise((resolve, reject) => {
    const hubs = new Map<string, FoundHub>()
    const bonjour = new Bonjour({}, () => undefined)
    const end = (finish: () => void) => {
      clearTimeout(timer)
      signal.removeEventListener('abort', stop)
      bonjour.destroy()
      finish()
    }
    const stop = () => end(() => reject(signal.reason))
    const timer = setTimeout(() => end(() => resolve([...hubs.values()])), waitMs)
    signal.addEventListener('abort', stop, { once: true })
    bonjour.find({ type: serviceType }, (service) => {
      const hub = toHub(service)
      if (hub && hubs.size < maxHubs) hubs.set(hub.url, hub)
    })
  })
}
