import { expect, test } from 'vitest'
import { toHub } from './discover.ts'
import { hubAddress } from './hub-address.ts'

test.each([
  ['studio', 'http://studio:4656'],
  ['10.0.0.5:8080', 'http://10.0.0.5:8080'],
  ['http://10.0.0.5:4656/', 'http://10.0.0.5:4656'],
  ['https://hub.example/holon/', 'https://hub.example/holon'],
  ['http://hub.example', 'http://hub.example'],
  ['[::1]:4656', 'http://[::1]:4656'],
])('%s means %s', (typed, url) => {
  expect(hubAddress(typed)).toBe(url)
})

test.each(['', 'ftp://x', 'http://', 'http://user:pass@hub', 'a b', 'http://[::'])(
  '"%s" is refused',
  (typed) => {
    expect(() => hubAddress(typed)).toThrow(expect.objectContaining({ code: 'usage' }))
  },
)

test('what a stranger announces is used only as far as it is an address', () => {
  expect(toHub({ name: 'a\u001b[2J', port: 4656, addresses: ['fe80::1', '10.0.0.5'] })).toEqual({
    name: 'a?[2J',
    url: 'http://10.0.0.5:4656',
  })
  expect(toHub({ name: 'a', port: 4656, referer: { address: '10.0.0.6' } })?.url).toBe('http://10.0.0.6:4656')
  for (const bad of [
    { name: 'a', port: 0, addresses: ['10.0.0.5'] },
    { name: 'a', port: 1e6, addresses: ['10.0.0.5'] },
    { name: 'a', port: 4656, addresses: ['evil.example/'] },
    { name: 'a', port: 4656 },
  ]) {
    expect(toHub(bad)).toBeNull()
  }
})
