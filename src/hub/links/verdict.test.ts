import { expect, test } from 'vitest'
import type { LinkProbe, NetworkInterface } from '../../protocol/pool.ts'
import { linkWarnings } from './verdict.ts'
import type { Way } from './ways.ts'

const at = (
  name: string,
  kind: NetworkInterface['kind'],
  lineBitS: number | null = null,
): NetworkInterface => ({
  name,
  address: '10.0.0.1',
  prefix: 24,
  kind,
  lineBitS,
})
const names = { from: 'studio', to: 'mini' }
const cable: Way = {
  from: at('en5', 'thunderbolt'),
  to: at('en6', 'thunderbolt'),
  kind: 'Thunderbolt',
  tier: 'Thunderbolt',
}
const probe = (via: NetworkInterface, throughputBytesS = 2e9): LinkProbe => ({
  via,
  throughputBytesS,
  rttMs: 0.2,
  jitterMs: 0.05,
})

test('a good link has nothing to say', () => {
  expect(linkWarnings(names, cable, probe(cable.from), probe(cable.to))).toEqual([])
})

test('names the wrong interface, and Wi-Fi in the place of Thunderbolt above all', () => {
  const [wrong] = linkWarnings(names, cable, probe(at('en1', 'wifi'), 3e7), null)
  expect(wrong).toContain(
    'from studio to mini (10.0.0.1) falls back to Wi-Fi: it leaves by en1 (wifi), not by en5',
  )
  expect(linkWarnings(names, cable, probe(at('en0', 'ethernet')), null)[0]).toContain('takes another way')
})

test('tells a route that differs from its way back, and a direction that is far slower', () => {
  const [route] = linkWarnings(names, cable, probe(cable.from), probe(at('en0', 'ethernet')))
  expect(route).toContain('not the same both ways')
  const [slow] = linkWarnings(names, cable, probe(cable.from, 1e8), probe(cable.to, 2e9))
  expect(slow).toContain('20 times as fast one way')
})

test('tells a line that gives far less than its label, and what Wi-Fi is', () => {
  const wire: Way = {
    from: at('en0', 'ethernet', 10e9),
    to: at('en0', 'ethernet', 10e9),
    kind: 'Ethernet',
    tier: 'network',
  }
  expect(linkWarnings(names, wire, probe(wire.from, 1e8), null)[0]).toContain(
    'less than a third of the 10 Gbit/s',
  )
  const air: Way = { from: at('en1', 'wifi'), to: at('en1', 'wifi'), kind: 'Wi-Fi', tier: 'network' }
  expect(linkWarnings(names, air, probe(air.from, 3e7), null)[0]).toMatch(/^Wi-Fi: its latency jumps/)
})
