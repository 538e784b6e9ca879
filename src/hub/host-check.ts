/**
 * Keeps foreign web pages away from a server that trusts whoever can reach it. A page on the internet can make a
 * browser call 127.0.0.1 (cross-site requests), or point its own name at 127.0.0.1 and read the answers (DNS
 * rebinding). So on loopback the Host header must name this machine, and a browser's Origin must be this server or
 * another page of this machine.
 */
import { isIP } from 'node:net'
import { HolonError } from '../core/errors.ts'

export interface Caller {
  method: string
  host: string | undefined
  origin: string | undefined
  /** The browser's own word on where a request comes from. */
  fetchSite: string | undefined
}

/** @param boundHost the address the server listens on */
export function isLoopback(boundHost: string): boolean {
  return boundHost === 'localhost' || boundHost === '::1' || /^127(\.\d{1,3}){3}$/.test(boundHost)
}

/** The name in a Host header, without port and brackets. */
function nameOf(host: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(host)
  if (bracketed) return bracketed[1]!.toLowerCase()
  return host.replace(/:\d+$/, '').toLowerCase()
}

function isThisMachine(name: string): boolean {
  return isLoopback(name) || name.endsWith('.localhost')
}

/**
 * @returns the origin to allow in CORS headers, or null when the caller is no browser page of another origin
 * @throws HolonError origin_refused
 */
export function checkCaller(caller: Caller, boundHost: string): string | null {
  const { host, origin } = caller
  // A name other than an address could have been rebound; an address cannot.
  if (isLoopback(boundHost) && host !== undefined && !isThisMachine(nameOf(host))) {
    throw new HolonError(
      'origin_refused',
      `This server answers to localhost, not to "${host.slice(0, 100)}".`,
    )
  }
  if (origin === undefined) {
    if (caller.fetchSite === 'cross-site' && changesState(caller.method)) throw crossSite('another site')
    return null
  }
  const from = originName(origin)
  if (from !== null && isThisMachine(from.name)) return origin
  if (
    from !== null &&
    host !== undefined &&
    from.host === host.toLowerCase() &&
    isTrustedName(from.name, boundHost)
  ) {
    return null
  }
  if (changesState(caller.method)) throw crossSite(origin.slice(0, 100))
  return null
}

/** On a network the page is opened by address or by a name that cannot be told from a rebound one: keys guard there. */
function isTrustedName(name: string, boundHost: string): boolean {
  return isIP(name) !== 0 || !isLoopback(boundHost)
}

function originName(origin: string): { name: string; host: string } | null {
  try {
    const url = new URL(origin)
    return { name: nameOf(url.host), host: url.host.toLowerCase() }
  } catch {
    return null
  }
}

function changesState(method: string): boolean {
  return method !== 'GET' && method !== 'HEAD' && method !== 'OPTIONS'
}

function crossSite(from: string): HolonError {
  return new HolonError('origin_refused', `A web page of ${from} may not call this server.`)
}
