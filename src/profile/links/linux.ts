/** What Linux says of an interface in /sys/class/net. */
import { readlink, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { readText } from '../read-text.ts'
import type { InterfaceKind } from './interfaces.ts'

export async function linuxKind(name: string, sysNet: string): Promise<InterfaceKind> {
  const folder = join(sysNet, name)
  const [speed, driver, radio, device] = await Promise.all([
    readText(join(folder, 'speed')),
    readlink(join(folder, 'device', 'driver')).then(basename, () => null),
    isThere(join(folder, 'phy80211')),
    isThere(join(folder, 'device')),
  ])
  // Mbit/s; -1 without a cable, and an error from drivers that do not know.
  const mbitS = Number(speed?.trim())
  const lineBitS = mbitS > 0 ? mbitS * 1e6 : null
  // No speed of a radio is one that lasts.
  if (radio || (await isThere(join(folder, 'wireless')))) return { kind: 'wifi', lineBitS: null }
  if (driver === 'thunderbolt-net') return { kind: 'thunderbolt', lineBitS }
  // Bridges, containers' ends, VPNs: nothing is plugged into them.
  if (!device) return { kind: 'virtual', lineBitS: null }
  return { kind: 'ethernet', lineBitS }
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
