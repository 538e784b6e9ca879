/** Identifiers: random, URL-safe, with a prefix that tells a reader of a log what they name. */
const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'

/** Asking the system for randomness costs microseconds, whatever the amount: many ids are cut from one piece. */
const pool = new Uint8Array(4096)
let used = pool.length

/** A random id such as `req_4f9k2m…` with about 5.2 bits per character; at most 4096 characters. */
export function newId(prefix: string, length = 20): string {
  if (used + length > pool.length) {
    globalThis.crypto.getRandomValues(pool)
    used = 0
  }
  let id = `${prefix}_`
  // 256 is no multiple of 36: the bias is 1/9 of a bit per character, which an identifier can bear and a key could not.
  for (const end = used + length; used < end; used++) id += alphabet[pool[used]! % alphabet.length]
  return id
}
