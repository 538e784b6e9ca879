/** Which addresses may be an engine's. */
import { HolonError } from '../../core/errors.ts'
import { field, rows } from './read-json.ts'

/**
 * The address without `/v1`, query and slash at the end.
 * @param own addresses that are Holon's: the hub of this machine, and the hub this node joins
 * @throws HolonError config_invalid
 */
export function engineUrl(given: string, own: readonly string[]): string {
  const url = URL.canParse(given) ? new URL(given) : null
  if (url === null || !['http:', 'https:'].includes(url.protocol)) {
    throw invalid(given, 'is no http(s) address', 'Write it as http://127.0.0.1:8000.')
  }
  if (url.username !== '' || url.password !== '') {
    throw invalid(`${url.protocol}//…@${url.host}`, 'holds a password', 'Give a key with HOLON_ENGINE_KEY.')
  }
  if (url.search !== '' || url.hash !== '') {
    throw invalid(given, 'holds more than an address', 'Leave out what follows `?` or `#`.')
  }
  for (const address of own) if (URL.canParse(address) && samePlace(url, new URL(address))) throw loop(given)
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')
}

/**
 * A hub lists models as no engine does. Asked at every look: whatever the address, and whoever stands between, Holon
 * behind Holon would send a request round for ever.
 * @throws HolonError config_invalid
 */
export function refuseHolon(url: string, answer: { status: number; json: unknown }): void {
  const listed = rows(field(answer.json, 'data'))
  const hub = listed.some((row) => row.owned_by === 'holon' || typeof row.holon === 'object')
  // A hub that wants a key says in the error who refuses.
  const closed = answer.status >= 400 && field(answer.json, 'error', 'source') === 'hub'
  if (hub || closed) throw loop(url)
}

function samePlace(one: URL, other: URL): boolean {
  return portOf(one) === portOf(other) && hostOf(one) === hostOf(other)
}

function portOf(url: URL): string {
  return url.port || (url.protocol === 'https:' ? '443' : '80')
}

/** The names that this machine has for itself are one. */
function hostOf({ hostname }: URL): string {
  return /^(localhost|127\.[\d.]+|0\.0\.0\.0|\[::1?\])$/.test(hostname) ? 'localhost' : hostname
}

function loop(url: string): HolonError {
  return invalid(url, 'is Holon itself, so requests would go round in a circle', 'Name the engine behind it.')
}

function invalid(url: string, why: string, hint: string): HolonError {
  return new HolonError('config_invalid', `The engine address ${url.slice(0, 200)} ${why}.`, { hint })
}
