import { expect, test } from 'vitest'
import { HolonError } from '../../core/errors.ts'
import type { NetworkInterface } from '../../protocol/pool.ts'
import { refuseUnknownLinks, type VouchingMember } from './isolated-links.ts'

const at = (name: string, address: string, kind: NetworkInterface['kind'] = 'ethernet') => ({
  ...{ name, address, prefix: 24, kind, lineBitS: null },
})
const oak: VouchingMember = {
  ...{ id: 'node_1', name: 'oak' },
  interfaces: [
    at('lo', '127.0.0.1', 'loopback'),
    at('en0', '192.168.1.2'),
    at('en5', '10.1.0.1', 'thunderbolt'),
    at('en5', 'fd00::1', 'thunderbolt'),
  ],
}
const elm: VouchingMember = { id: 'node_2', name: 'elm', interfaces: [at('en3', '10.1.0.2')] }

const refused = (links: string[], members = [oak, elm]): HolonError => {
  try {
    refuseUnknownLinks(links, members)
  } catch (thrown) {
    if (thrown instanceof HolonError) return thrown
  }
  throw new Error('it was taken')
}

test('an end at each member, by name or id, is taken, and so is none at all', () => {
  refuseUnknownLinks([], [oak, elm])
  refuseUnknownLinks(['oak:en5', 'node_2:en3'], [oak, elm])
  // A cable with two names is vouched for by both.
  refuseUnknownLinks(['oak:en5', 'oak:en0', 'elm:en3'], [oak, elm])
})

test('an interface that is not there is refused with those that are', () => {
  const { code, message, hint } = refused(['oak:en7', 'elm:en3'])
  expect(code).toBe('invalid_parameter')
  expect(message).toBe('oak has no interface called "en7".')
  expect(hint).toBe('oak has en0 (192.168.1.2), en5 (10.1.0.1, fd00::1).')
})

test('a machine that is no member, and a word that names none, are refused with the members', () => {
  for (const link of ['ash:en5', 'en5', 'oak'])
    expect(refused([link]).hint).toMatch(/NODE:INTERFACE.*The members are oak, elm\.$/)
})

test('a member without an end is named, with what it has', () => {
  const { message, hint } = refused(['oak:en5'])
  expect(message).toBe('No cable of elm is vouched for; an isolated link needs an end at each member.')
  expect(hint).toMatch(/^elm has en3 \(10\.1\.0\.2\)\./)
})

test('a machine with nothing but its loopback has no cable', () => {
  const alone = { ...elm, interfaces: [at('lo', '127.0.0.1', 'loopback')] }
  expect(refused(['oak:en5', 'elm:en3'], [oak, alone]).hint).toBe(
    'elm told of no interface that leads to another machine.',
  )
})

test('one that does not say what it has is judged when it is looked at', () => {
  refuseUnknownLinks(['oak:en5', 'elm:en9'], [oak, { ...elm, interfaces: null }])
})
