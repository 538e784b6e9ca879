import { createServer } from 'node:net'
import { describe, expect, it } from 'vitest'
import {
  checkHubLink,
  type HubLinkFacts,
  isLocalNetworkPrivacy,
  onSameSubnet,
  parseGateway,
  readHubLink,
  tryConnecting,
} from './hub-link.ts'

/** What a program without the permission sees on macOS 15 and later. */
const blocked: HubLinkFacts = {
  platform: 'darwin',
  url: 'http://192.168.1.20:4656',
  unknownName: false,
  sameSubnet: true,
  hub: { outcome: 'EHOSTUNREACH', ms: 0.4 },
  gateway: { outcome: 'ECONNREFUSED', ms: 2 },
}

describe('macOS keeping a program from the local network', () => {
  it('is recognised: the neighbour refused at once, the gateway fine', () => {
    expect(isLocalNetworkPrivacy(blocked)).toBe(true)
    expect(checkHubLink(blocked)).toMatchObject({ id: 'local-network', status: 'fail' })
    expect(checkHubLink(blocked)?.hint).toContain('Privacy & Security > Local Network')
  })

  it.each<[string, Partial<HubLinkFacts>]>([
    ['a neighbour that is switched off: it takes seconds', { hub: { outcome: 'EHOSTUNREACH', ms: 2900 } }],
    ['a network that is down: the gateway fails too', { gateway: { outcome: 'EHOSTUNREACH', ms: 0.5 } }],
    ['a hub on another network', { sameSubnet: false }],
    ['a hub that does not listen', { hub: { outcome: 'ECONNREFUSED', ms: 1 } }],
    ['another system', { platform: 'linux' }],
    ['a gateway that was not found', { gateway: null }],
  ])('is not confused with %s', (_name, different) => {
    const facts = { ...blocked, ...different }
    expect(isLocalNetworkPrivacy(facts)).toBe(false)
    expect(checkHubLink(facts)).toMatchObject({ id: 'hub', status: 'fail' })
  })
})

describe('the way to the hub', () => {
  it('is not looked at when there is no hub, or it is this machine', async () => {
    expect(await readHubLink(null)).toBeNull()
    expect(await readHubLink('http://127.0.0.1:4656')).toBeNull()
    expect(await readHubLink('http://localhost:4656')).toBeNull()
    expect(checkHubLink(null)).toBeNull()
  })

  it('with a name that nobody knows fails', async () => {
    const facts = await readHubLink('http://no-such-machine.invalid:4656')
    expect(facts).toMatchObject({ unknownName: true })
    expect(checkHubLink(facts)).toMatchObject({ status: 'fail' })
  })

  it.each([
    ['open', 'ok'],
    ['ECONNREFUSED', 'fail'],
    ['timeout', 'fail'],
    ['EWEIRD', 'fail'],
  ])('that ends with %s is %s', (outcome, status) => {
    expect(checkHubLink({ ...blocked, platform: 'linux', hub: { outcome, ms: 1 } })?.status).toBe(status)
  })
})

describe('tryConnecting', () => {
  it('tells an open port from a closed one', async () => {
    const server = createServer((socket) => socket.end())
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const { port } = server.address() as { port: number }
    expect((await tryConnecting('127.0.0.1', port)).outcome).toBe('open')
    await new Promise((resolve) => server.close(resolve))
    expect((await tryConnecting('127.0.0.1', port)).outcome).toBe('ECONNREFUSED')
  })
})

describe('addresses', () => {
  const wifi = { address: '192.168.1.7', netmask: '255.255.255.0', family: 'IPv4' as const, internal: false }

  it('are on the same network by the mask', () => {
    expect(onSameSubnet('192.168.1.20', [wifi])).toBe(true)
    expect(onSameSubnet('192.168.2.20', [wifi])).toBe(false)
    expect(onSameSubnet('192.168.2.20', [{ ...wifi, netmask: '255.255.252.0' }])).toBe(true)
    expect(onSameSubnet('192.168.1.20', [{ ...wifi, internal: true }])).toBe(false)
    expect(onSameSubnet('fe80::1', [wifi])).toBe(false)
  })

  it('of the gateway come from route', () => {
    const text =
      '   route to: default\ndestination: default\n       mask: default\n    gateway: 192.168.1.1\n  interface: en0\n'
    expect(parseGateway(text)).toBe('192.168.1.1')
    expect(parseGateway('route: writing to routing socket: not in table')).toBeNull()
  })
})
