/**
 * The addresses of this machine and what is behind each: a pool's traffic belongs on the cable, and a system will send
 * it by radio without a word. Whatever a system does not tell is null or `other`; it is measured anyway.
 */
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import type { NetworkInterface } from '../../protocol/pool.ts'
import { type Run, runCommand } from '../run-command.ts'
import { darwinKinds } from './darwin.ts'
import { linuxKind } from './linux.ts'

/** What one system's file finds out about an interface. */
export interface InterfaceKind {
  kind: NetworkInterface['kind']
  lineBitS: number | null
}

export interface InterfacesOptions {
  platform?: NodeJS.Platform
  addresses?: NodeJS.Dict<NetworkInterfaceInfo[]>
  run?: Run
  /** Where Linux describes interfaces. */
  sysNet?: string
}

const unknown: InterfaceKind = { kind: 'other', lineBitS: null }
const most = 64

/** Every address that a peer could be told, loopback among them; link-local IPv6 needs a zone and is left out. */
export async function readInterfaces(options: InterfacesOptions = {}): Promise<NetworkInterface[]> {
  const { platform = process.platform, addresses = networkInterfaces(), run = runCommand } = options
  const names = Object.keys(addresses)
  const kinds = await kindsOf(names, platform, run, options.sysNet ?? '/sys/class/net')
  return names
    .flatMap((name) =>
      (addresses[name] ?? [])
        .filter(({ address }) => !/^fe80:/i.test(address))
        .map(({ address, cidr, internal }) => ({
          name,
          address,
          prefix: cidr ? Number(cidr.split('/')[1]) : null,
          ...(internal ? { kind: 'loopback' as const, lineBitS: null } : (kinds.get(name) ?? unknown)),
        })),
    )
    .slice(0, most)
}

async function kindsOf(
  names: readonly string[],
  platform: NodeJS.Platform,
  run: Run,
  sysNet: string,
): Promise<Map<string, InterfaceKind>> {
  if (platform === 'darwin') return darwinKinds(names, run)
  if (platform !== 'linux') return new Map()
  return new Map(await Promise.all(names.map(async (name) => [name, await linuxKind(name, sysNet)] as const)))
}
