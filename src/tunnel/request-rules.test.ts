import { expect, test } from 'vitest'
import { checkAuthority, checkMethod, checkPath, requestHeaders } from './request-rules.ts'

test.each([
  '/',
  '/v1/chat/completions',
  '/a.b/..c/d..?x=../y',
  '/%E2%82%AC',
  '/a//b',
  '/v1/models/qwen2.5:7b',
])('the path %s may travel', (path) => {
  expect(() => checkPath(path)).not.toThrow()
})

test.each([
  '',
  'v1',
  'http://other/',
  '//other/x',
  '*',
  '/../x',
  '/a/..',
  '/a/./b',
  '/a/%2e%2E/b',
  '/a%2f..%2fb',
  '/a%5c..%5cb',
  '/a\\..\\b',
  '/a b',
  '/a\r\nhost: x',
  '/a\0',
  '/a#b',
  '/é',
  `/${'a'.repeat(8_192)}`,
  7,
])('the path %j is refused', (path) => {
  expect(() => checkPath(path)).toThrow(expect.objectContaining({ code: 'tunnel_request_invalid' }))
})

test('CONNECT, TRACE and what is no token are no methods here', () => {
  for (const method of ['CONNECT', 'TRACE', '', 'GET /x', 'GET\r\n', undefined]) {
    expect(() => checkMethod(method)).toThrow(expect.objectContaining({ code: 'tunnel_request_invalid' }))
  }
  expect(() => checkMethod('PATCH')).not.toThrow()
})

test('an authority is a host and perhaps a port', () => {
  for (const bad of ['', 'a b', 'user@host', 'a/b', 'a:b', 'x'.repeat(200)])
    expect(() => checkAuthority(bad)).toThrow()
  expect(() => checkAuthority('engine-2.node:8080')).not.toThrow()
})

test('headers of one hop stay behind, and so do those that connection names', () => {
  expect({
    ...requestHeaders([
      ['Host', 'x'],
      ['Connection', 'keep-alive, X-Secret-Hop'],
      ['Keep-Alive', 'timeout=5'],
      ['Transfer-Encoding', 'chunked'],
      ['TE', 'trailers'],
      ['Upgrade', 'h2c'],
      ['HTTP2-Settings', 'AAMAAABkAAQAAP__'],
      ['Expect', '100-continue'],
      ['x-secret-hop', '1'],
      ['Authorization', 'Bearer y'],
      ['Accept', ['a', 'b']],
      ['x-none', undefined],
    ]),
  }).toEqual({ authorization: 'Bearer y', accept: ['a', 'b'] })
})

test.each([
  [[['x', 'a\r\nb: c']]],
  [[['x', 'a\0']]],
  [[['x y', 'a']]],
  [[['', 'a']]],
  [[[':path', '/x']]],
  [[['x\n', 'a']]],
  [
    [
      ['content-length', '1'],
      ['Content-Length', '2'],
    ],
  ],
  [[['content-length', '1, 1']]],
  [[['content-length', '-1']]],
  [[['content-length', '0x10']]],
] as [[string, string][]][])('the headers %j are refused', (pairs) => {
  expect(() => requestHeaders(pairs)).toThrow(expect.objectContaining({ code: 'tunnel_request_invalid' }))
})

test('a header named __proto__ is a header', () => {
  expect(Object.keys(requestHeaders([['__proto__', 'x']]))).toEqual(['__proto__'])
})
