import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { networkInterface } from '../../protocol/pool.ts'
import { readInterfaces } from './interfaces.ts'

const address = (address: string, cidr: string, internal = false) => ({
  ...{ address, cidr, internal, netmask: '', mac: '00:00:00:00:00:00' },
  family: 'IPv4' as const,
})
const root = mkdtempSync(join(tmpdir(), 'holon-links-'))
afterAll(() => rmSync(root, { recursive: true }))

/** One interface as Linux shows it. */
function sys(name: string, about: { driver?: string; speed?: string; wireless?: boolean }): void {
  const folder = join(root, name)
  mkdirSync(folder, { recursive: true })
  if (about.speed) writeFileSync(join(folder, 'speed'), `${about.speed}\n`)
  if (about.wireless) mkdirSync(join(folder, 'wireless'))
  if (!about.driver) return
  mkdirSync(join(folder, 'device'))
  mkdirSync(join(root, 'drivers', about.driver), { recursive: true })
  symlinkSync(join(root, 'drivers', about.driver), join(folder, 'device', 'driver'))
}

/** Of a Mac Studio: a 10 Gbit/s port, Wi-Fi, one cable to another Mac and the bridge of the rest. */
const hardwarePorts = `
Hardware Port: Ethernet
Device: en0
Ethernet Address: 1c:1d:d3:00:00:01

Hardware Port: Thunderbolt Bridge
Device: bridge0
Ethernet Address: 36:00:00:00:00:40

Hardware Port: Wi-Fi
Device: en1
Ethernet Address: 1c:1d:d3:00:00:02

Hardware Port: Thunderbolt 1
Device: en2
Ethernet Address: 36:00:00:00:00:44

VLAN Configurations
===================
`
const ifconfig = `lo0: flags=8049<UP,LOOPBACK,RUNNING,MULTICAST> mtu 16384
	inet 127.0.0.1 netmask 0xff000000
en0: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
	inet 192.168.1.20 netmask 0xffffff00 broadcast 192.168.1.255
	media: autoselect (10Gbase-T <full-duplex,flow-control>)
	status: active
en1: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
	media: autoselect
	status: active
en2: flags=8863<UP,BROADCAST,SMART,RUNNING,SIMPLEX,MULTICAST> mtu 1500
	media: autoselect <full-duplex>
	status: active
`

describe('the interfaces', () => {
  test('of this machine are there, in the form of the protocol, loopback among them', async () => {
    const here = await readInterfaces()
    expect(here.find(({ address }) => address === '127.0.0.1')).toMatchObject({ kind: 'loopback', prefix: 8 })
    for (const each of here) networkInterface.parse(each)
  })

  test('of Linux tell cable, radio, Thunderbolt and what is only software', async () => {
    sys('enp5s0', { driver: 'igc', speed: '2500' })
    sys('eno1', { driver: 'e1000e', speed: '-1' })
    sys('wlp3s0', { driver: 'iwlwifi', wireless: true })
    sys('thunderbolt0', { driver: 'thunderbolt-net', speed: '20000' })
    sys('docker0', { speed: '10000' })
    const found = await readInterfaces({
      platform: 'linux',
      sysNet: root,
      addresses: {
        enp5s0: [address('192.168.1.5', '192.168.1.5/24'), address('fe80::1', 'fe80::1/64')],
        eno1: [address('192.168.2.5', '192.168.2.5/24')],
        wlp3s0: [address('192.168.1.6', '192.168.1.6/24')],
        thunderbolt0: [address('10.99.0.1', '10.99.0.1/30')],
        docker0: [address('172.17.0.1', '172.17.0.1/16')],
      },
    })
    expect(found.map(({ name, kind, lineBitS }) => [name, kind, lineBitS])).toEqual([
      ['enp5s0', 'ethernet', 2.5e9],
      ['eno1', 'ethernet', null],
      ['wlp3s0', 'wifi', null],
      ['thunderbolt0', 'thunderbolt', 20e9],
      ['docker0', 'virtual', null],
    ])
  })

  test('of macOS are named by networksetup and timed by ifconfig', async () => {
    const addresses = {
      lo0: [address('127.0.0.1', '127.0.0.1/8', true)],
      en0: [address('192.168.1.20', '192.168.1.20/24')],
      en1: [address('192.168.1.21', '192.168.1.21/24')],
      en2: [address('192.168.0.1', '192.168.0.1/30')],
      bridge0: [address('169.254.3.4', '169.254.3.4/16')],
      utun4: [address('100.64.0.7', '100.64.0.7/32')],
    }
    const run = async (command: string) => (command === 'ifconfig' ? ifconfig : hardwarePorts)
    const found = await readInterfaces({ platform: 'darwin', addresses, run })
    expect(found.map(({ name, kind, lineBitS }) => [name, kind, lineBitS])).toEqual([
      ['lo0', 'loopback', null],
      ['en0', 'ethernet', 10e9],
      ['en1', 'wifi', null],
      ['en2', 'thunderbolt', null],
      ['bridge0', 'thunderbolt', null],
      ['utun4', 'virtual', null],
    ])
    const silent = await readInterfaces({ platform: 'darwin', addresses, run: async () => null })
    expect(silent.map(({ kind }) => kind)).toEqual([
      'loopback',
      'other',
      'other',
      'other',
      'virtual',
      'virtual',
    ])
  })

  test('of Windows are addresses without a kind', async () => {
    const addresses = { Ethernet: [address('192.168.1.9', '192.168.1.9/24')] }
    expect(await readInterfaces({ platform: 'win32', addresses })).toEqual([
      { name: 'Ethernet', address: '192.168.1.9', prefix: 24, kind: 'other', lineBitS: null },
    ])
  })
})
