import { expect, it } from 'vitest'
import { sample } from '../../test/profile/samples.ts'
import { parseThunderbolt } from './thunderbolt.ts'

const ports = parseThunderbolt(sample('macos-m3-ultra-512/thunderbolt.txt'))

it('tells an idle port, which names what it could do', () => {
  expect(ports[0]).toMatchObject({ receptacle: 3, gbitS: 120, connected: false, peerName: null })
})

it('tells a cable to another Mac, the speed of the link, and that the peer offers RDMA', () => {
  expect(ports[1]).toEqual({
    receptacle: 2,
    domain: '28CA4C30-0000-4C55-B302-953416D0B209',
    gbitS: 80,
    connected: true,
    peerName: 'MacBook Pro',
    peerDomain: '817DCFA4-0000-4100-80FC-91C7AA969F0B',
    peerRdma: true,
  })
})

it('does not take a drive for a Mac', () => {
  expect(ports[2]).toMatchObject({ connected: true, peerName: null, peerDomain: null, peerRdma: false })
})

it('skips a bus without a receptacle, and what is no answer', () => {
  expect(ports).toHaveLength(3)
  expect(parseThunderbolt('')).toEqual([])
})
