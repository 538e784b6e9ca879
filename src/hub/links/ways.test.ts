import { expect, test } from 'vitest'
import type { MachineProfile, ThunderboltPort } from '../../protocol/machine.ts'
import type { NetworkInterface } from '../../protocol/pool.ts'
import { rdmaBetween, waysBetween } from './ways.ts'

const at = (
  name: string,
  address: string,
  kind: NetworkInterface['kind'] = 'ethernet',
  prefix = 24,
): NetworkInterface => ({
  name,
  address,
  prefix,
  kind,
  lineBitS: null,
})

test('pairs interfaces of one network, the cable of their own before Ethernet before Wi-Fi', () => {
  const ways = waysBetween(
    [at('en1', '192.168.1.5', 'wifi'), at('en0', '10.0.0.1'), at('en5', '169.254.3.1', 'thunderbolt', 16)],
    [at('en0', '10.0.0.2'), at('en1', '192.168.1.6', 'wifi'), at('en6', '169.254.9.9', 'thunderbolt', 16)],
  )
  expect(ways.map(({ kind, from, to }) => [kind, from.name, to.name])).toEqual([
    ['Thunderbolt', 'en5', 'en6'],
    ['Ethernet', 'en0', 'en0'],
    ['Wi-Fi', 'en1', 'en1'],
  ])
  expect(ways[0]?.tier).toBe('Thunderbolt')
})

test('finds no way between different networks, sizes of network, or where only IPv6 is', () => {
  expect(waysBetween([at('en0', '10.0.0.1')], [at('en0', '10.0.1.2')])).toEqual([])
  expect(waysBetween([at('en0', '10.0.0.1')], [at('en0', '10.0.0.2', 'ethernet', 16)])).toEqual([])
  expect(waysBetween([at('en0', 'fe80::1', 'ethernet', 64)], [at('en0', 'fe80::2', 'ethernet', 64)])).toEqual(
    [],
  )
})

test('two agents on one machine speak over its loopback', () => {
  const both = [at('lo', '127.0.0.1', 'loopback', 8), at('eth0', '10.0.0.1')]
  expect(waysBetween(both, both)).toEqual([
    expect.objectContaining({ kind: 'same box', from: expect.objectContaining({ name: 'lo' }) }),
  ])
  expect(waysBetween([both[0]!], [both[0]!])).toEqual([])
})

const port = (more: Partial<ThunderboltPort>): ThunderboltPort => ({
  receptacle: 1,
  domain: null,
  gbitS: 80,
  connected: true,
  peerName: null,
  peerDomain: null,
  peerRdma: true,
  ...more,
})
const mac = (hostname: string, ports: ThunderboltPort[], version = '26.2') =>
  ({ hostname, os: { version }, thunderbolt: ports }) as unknown as MachineProfile

test('RDMA is ready, or the first thing against it is said with what to do', () => {
  const one = (more = {}) => mac('studio', [port({ domain: 'A', peerDomain: 'B', ...more })])
  const other = (more = {}, version?: string) =>
    mac('mini', [port({ domain: 'B', peerDomain: 'A', ...more })], version)
  expect(rdmaBetween(one(), other())).toBe('ready')
  expect(rdmaBetween(one({ gbitS: 40 }), other())).toContain('runs at 40 Gbit/s')
  expect(rdmaBetween(one(), other({}, '26.1'))).toContain('mini runs macOS 26.1')
  expect(rdmaBetween(one({ peerRdma: false }), other())).toContain(
    'mini does not offer RDMA: run `rdma_ctl enable`',
  )
  expect(rdmaBetween(one(), other({ peerRdma: false }))).toContain('studio does not offer RDMA')
  expect(rdmaBetween(one({ peerDomain: 'X' }), other())).toBe('no Thunderbolt cable joins them')
  expect(rdmaBetween(one(), null)).toBeNull()
})
