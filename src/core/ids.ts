/** Identifiers: random, URL-safe, with a prefix that tells a reader of a log what they name. */
const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'

/** Asking the system for randomness costs microseconds, whatever the amount: many ids are cut from one text. */
const bytes = Buffer.alloc(4096)
let pool = ''
let used = 0

/** A random id such as `req_4f9k2m…` with about 5.2 bits per character; at most 4096 characters. */
export function newId(prefix: string, length = 20): string {
  if (used + length > pool.length) refill()
  const from = used
  used += length
  return `${prefix}_${pool.slice(from, used)}`
}

function refill(): void {
  globalThis.crypto.getRandomValues(bytes)
  // 256 is no multiple of 36: the bias is 1/9 of a bit per character, which an identifier can bear and a key could not.
  for (let at = 0; at < bytes.length; at++) bytes[at] = alphabet.charCodeAt(bytes[at]! % alphabet.length)
  pool = bytes.toString('latin1')
  used = 0
}
