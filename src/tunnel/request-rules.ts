/**
 * What may travel through the tunnel as a request. Both ends apply it: the hub before sending, the node before
 * answering. A path that two parsers read differently, a hop-by-hop header carried over, or a length that is told twice
 * is how requests are smuggled past checks, so such requests are refused rather than repaired.
 */
import { HolonError } from '../core/errors.ts'
import { maxPathBytes } from './limits.ts'
import { tunnelPrefix } from './wire.ts'

const token = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
// Tabs are legal inside a value; CR, LF, NUL and the rest of the control characters are not.
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused here
const badValue = /[\x00-\x08\x0a-\x1f\x7f]/
const visible = /^[\x21-\x7e]+$/
/** `.` and `..` as whole segments, with dots and slashes in plain or percent-encoded form. */
const dotSegment = /(?:^|\/|%2f|%5c)(?:\.|%2e){1,2}(?=$|\/|%2f|%5c)/i

/** Headers that belong to one connection (RFC 9110, section 7.6.1), and what HTTP/2 has other means for. */
const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'transfer-encoding',
  'te',
  'trailer',
  'upgrade',
  'http2-settings',
  'expect',
  'host',
])

const refuse = (sentence: string): HolonError => new HolonError('tunnel_request_invalid', sentence)

/** @throws HolonError tunnel_request_invalid */
export function checkPath(path: unknown): asserts path is string {
  if (typeof path !== 'string' || !path.startsWith('/')) throw refuse('The path must start with a slash.')
  if (path.length > maxPathBytes) throw refuse(`The path is longer than ${maxPathBytes} bytes.`)
  if (!visible.test(path) || path.includes('#') || path.includes('\\')) {
    throw refuse('The path holds a character that no path may hold.')
  }
  const end = path.indexOf('?')
  const segments = end === -1 ? path : path.slice(0, end)
  if (segments.startsWith('//')) throw refuse('The path starts with two slashes, which some read as a host.')
  if (segments.startsWith(tunnelPrefix)) throw refuse(`Paths below ${tunnelPrefix} are the tunnel's own.`)
  if (dotSegment.test(segments)) throw refuse('The path holds a dot segment.')
}

/** @throws HolonError tunnel_request_invalid */
export function checkMethod(method: unknown): asserts method is string {
  if (typeof method !== 'string' || !token.test(method)) throw refuse('The method is no HTTP method.')
  if (method === 'CONNECT' || method === 'TRACE') throw refuse(`The tunnel carries no ${method} requests.`)
}

/** A host as in `engine-2.node:8080`: what an HTTP/2 authority may be here. */
export function checkAuthority(authority: string): void {
  if (!/^[A-Za-z0-9._-]{1,128}(?::\d{1,5})?$/.test(authority))
    throw refuse('The host holds characters no host may hold.')
}

export type HeaderPairs = Iterable<[string, string | readonly string[] | undefined]>

/**
 * Headers as HTTP/2 wants them: lower case, without those of one hop and those that `connection` names.
 * @throws HolonError tunnel_request_invalid
 */
export function requestHeaders(pairs: HeaderPairs): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>
  const named = new Set<string>()
  for (const [rawName, rawValue] of pairs) {
    if (rawValue === undefined) continue
    const name = rawName.toLowerCase()
    if (!token.test(name)) throw refuse('A header name holds characters no header name may hold.')
    const values = typeof rawValue === 'string' ? [rawValue] : rawValue.map(String)
    for (const value of values) {
      if (badValue.test(value)) throw refuse(`The header ${name} holds a control character.`)
      if (name === 'connection') for (const each of value.split(',')) named.add(each.trim().toLowerCase())
    }
    if (hopByHop.has(name)) continue
    const before = headers[name]
    const all = before === undefined ? values : [...[before].flat(), ...values]
    headers[name] = all.length === 1 ? all[0]! : all
  }
  for (const name of named) delete headers[name]
  const length = headers['content-length']
  if (length !== undefined && (typeof length !== 'string' || !/^\d{1,15}$/.test(length))) {
    throw refuse('The content-length is told twice or is no number.')
  }
  return headers
}
