/** The address of a hub as people type it, in the one form that is kept. */
import { HolonError } from '../../core/errors.ts'

const defaultPort = 4656

/**
 * `studio`, `10.0.0.5:4656`, `http://10.0.0.5:4656/` and `https://hub.example/holon` all mean something.
 * @returns a URL without a slash at its end
 * @throws HolonError usage
 */
export function hubAddress(typed: string): string {
  const text = typed.trim()
  const bare = !/^[a-z][a-z0-9+.-]*:\/\//i.test(text)
  let url: URL
  try {
    url = new URL(bare ? `http://${text}` : text)
  } catch {
    throw bad(typed)
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw bad(typed)
  if (url.hostname === '' || url.username !== '' || url.password !== '') throw bad(typed)
  if (bare && url.port === '') url.port = String(defaultPort)
  return `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`
}

function bad(typed: string): HolonError {
  return new HolonError('usage', `"${typed.slice(0, 200)}" is no address of a hub.`, {
    hint: 'Give one such as http://192.168.1.20:4656.',
  })
}
