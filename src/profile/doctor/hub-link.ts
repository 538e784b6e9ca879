/** Can this machine reach its hub, and if not, is it macOS that keeps it from the local network? */
import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import { type Run, runCommand } from '../run-command.ts'
import { type Check, checkCalled } from './check.ts'

/** How an attempt to connect ended: `open`, or the system's code ("ECONNREFUSED", "EHOSTUNREACH", "timeout"). */
export interface Attempt {
  outcome: string
  ms: number
}

export interface HubLinkFacts {
  platform: string
  url: string
  /** The name did not resolve. */
  unknownName: boolean
  /** The hub is a neighbour on this machine's own network. */
  sameSubnet: boolean
  hub: Attempt | null
  gateway: Attempt | null
}

const PATIENCE_MS = 2000

/** Null when there is nothing to check: no hub, or one on this very machine. */
export async function readHubLink(
  hubUrl: string | null,
  run: Run = runCommand,
): Promise<HubLinkFacts | null> {
  if (hubUrl === null) return null
  const url = new URL(hubUrl)
  const port = Number(url.port || (url.protocol === 'https:' ? 443 : 80))
  const name = url.hostname.replace(/^\[|\]$/g, '')
  const address = (await lookup(name).catch(() => null))?.address ?? null
  const blank = { platform: process.platform, url: hubUrl, sameSubnet: false, hub: null, gateway: null }
  if (address === null) return { ...blank, unknownName: true }
  const interfaces = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  if (interfaces.some((own) => own.address === address) || address.startsWith('127.')) return null
  const gateway =
    process.platform === 'darwin' ? parseGateway(await run('route', ['-n', 'get', 'default'])) : null
  return {
    ...blank,
    unknownName: false,
    sameSubnet: onSameSubnet(address, interfaces),
    hub: await tryConnecting(address, port),
    // Any port will do: a refusal comes from the gateway too.
    gateway: gateway === null ? null : await tryConnecting(gateway, 53),
  }
}

export function tryConnecting(host: string, port: number, patienceMs = PATIENCE_MS): Promise<Attempt> {
  const started = performance.now()
  return new Promise((resolve) => {
    const socket = connect({ host, port })
    const end = (outcome: string) => {
      clearTimeout(timer)
      socket.destroy()
      resolve({ outcome, ms: performance.now() - started })
    }
    const timer = setTimeout(() => end('timeout'), patienceMs)
    socket.once('connect', () => end('open'))
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? 'unknown'))
  })
}

/** The line `gateway: 192.168.1.1` of `route -n get default`. */
export function parseGateway(text: string | null): string | null {
  return /^\s*gateway: (\d+\.\d+\.\d+\.\d+)$/m.exec(text ?? '')?.[1] ?? null
}

export function onSameSubnet(
  address: string,
  interfaces: readonly Pick<NetworkInterfaceInfo, 'address' | 'netmask' | 'family' | 'internal'>[],
): boolean {
  const target = ipv4(address)
  return interfaces.some((own) => {
    const [here, mask] = [ipv4(own.address), ipv4(own.netmask)]
    if (own.internal || own.family !== 'IPv4' || target === null || here === null || !mask) return false
    return (target & mask) === (here & mask)
  })
}

function ipv4(text: string): number | null {
  const parts = text.split('.').map(Number)
  if (parts.length !== 4 || parts.some((part) => !(part >= 0 && part <= 255))) return null
  return parts.reduce((value, part) => (value << 8) | part, 0)
}

/**
 * macOS 15 and later refuses programs without the permission every neighbour, at once and as if there were no route,
 * while the gateway, the internet and loopback stay open. A machine that is switched off takes seconds to be given up.
 */
export function isLocalNetworkPrivacy({ platform, sameSubnet, hub, gateway }: HubLinkFacts): boolean {
  const refusedAtOnce = hub?.outcome === 'EHOSTUNREACH' && hub.ms < 100
  const gatewayFine = gateway?.outcome === 'open' || gateway?.outcome === 'ECONNREFUSED'
  return platform === 'darwin' && sameSubnet && refusedAtOnce && gatewayFine
}

export function checkHubLink(facts: HubLinkFacts | null): Check | null {
  if (facts === null) return null
  const { ok, fail } = checkCalled('hub', 'Hub')
  const { url, hub } = facts
  if (facts.unknownName || hub === null) {
    return fail(
      `the name in ${url} is not known here`,
      'Check HOLON_HUB for typing errors, or use its address.',
    )
  }
  if (hub.outcome === 'open') return ok(`${url} answers`)
  if (isLocalNetworkPrivacy(facts)) {
    return checkCalled('local-network', 'Local network').fail(
      `macOS keeps this program from the local network: ${url} is refused at once while the gateway answers`,
      'Open System Settings > Privacy & Security > Local Network and switch on the program that started Holon (Terminal, for one); or install Holon as a system service with `holon service install`: daemons are exempt, per-user agents are not.',
    )
  }
  const explanations: Record<string, [string, string]> = {
    ECONNREFUSED: [
      'the machine is there, but no hub listens',
      'Start it there with `holon up`, and check the port.',
    ],
    EHOSTUNREACH: ['no way leads there', 'Check that both machines are on the same network and awake.'],
    ENETUNREACH: ['this machine has no network', 'Check the cable or the Wi-Fi.'],
    timeout: [
      'nothing answers',
      'Check that the machine is awake and that no firewall drops the connection.',
    ],
  }
  const [what, todo] = explanations[hub.outcome] ?? [hub.outcome, 'Check the address and the network.']
  return fail(`${url} cannot be reached: ${what}`, todo)
}
