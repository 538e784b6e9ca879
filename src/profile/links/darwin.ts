/** What macOS says of its interfaces: `networksetup` knows what a port is, `ifconfig` how fast it runs. */
import type { Run } from '../run-command.ts'
import type { InterfaceKind } from './interfaces.ts'

export async function darwinKinds(names: readonly string[], run: Run): Promise<Map<string, InterfaceKind>> {
  const [ports, media] = await Promise.all([
    run('networksetup', ['-listallhardwareports']),
    run('ifconfig', ['-a']),
  ])
  const portOf = parseHardwarePorts(ports ?? '')
  const speeds = parseMediaSpeeds(media ?? '')
  return new Map(
    names.map((name) => [name, { ...kindOf(name, portOf.get(name)), lineBitS: speeds.get(name) ?? null }]),
  )
}

/** Blocks of `Hardware Port: Thunderbolt 1`, `Device: en2`, `Ethernet Address: …`; device to port. */
export function parseHardwarePorts(text: string): Map<string, string> {
  const ports = new Map<string, string>()
  for (const [, port, device] of text.matchAll(/^Hardware Port: (.+)\nDevice: (\S+)$/gm)) {
    if (port !== undefined && device !== undefined) ports.set(device, port)
  }
  return ports
}

function kindOf(name: string, port: string | undefined): Pick<InterfaceKind, 'kind'> {
  // Cables between Macs: single ports, or all of them as one bridge.
  if (port !== undefined && /^Thunderbolt/.test(port)) return { kind: 'thunderbolt' }
  if (port === 'Wi-Fi' || port === 'AirPort') return { kind: 'wifi' }
  if (/^(awdl|llw)\d/.test(name)) return { kind: 'wifi' }
  if (port !== undefined && /Ethernet|LAN|AQC|10G/i.test(port)) return { kind: 'ethernet' }
  if (/^(utun|gif|stf|bridge|vmenet|vmnet|ap|anpi|feth)\d/.test(name)) return { kind: 'virtual' }
  return { kind: 'other' }
}

/** `media: autoselect (10Gbase-T <full-duplex>)` below the interface's own line, as bits per second. */
export function parseMediaSpeeds(text: string): Map<string, number> {
  const speeds = new Map<string, number>()
  let name = ''
  for (const line of text.split('\n')) {
    name = /^(\S+): flags=/.exec(line)?.[1] ?? name
    const rate = /^\s+media: .*?\((\d+(?:\.\d+)?)(G?)base/i.exec(line)
    if (rate) speeds.set(name, Number(rate[1]) * (rate[2] ? 1e9 : 1e6))
  }
  return speeds
}
