/** Identifiers: random, URL-safe, with a prefix that tells a reader of a log what they name. */
const alphabet = '0123456789abcdefghijklmnopqrstuvwxyz'

/** A random id such as `req_4f9k2m…` with about 5.2 bits per character. */
export function newId(prefix: string, length = 20): string {
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(length))
  let id = `${prefix}_`
  // 256 is no multiple of 36: the bias is 1/9 of a bit per character, which an identifier can bear and a key could not.
  for (const byte of bytes) id += alphabet[byte % alphabet.length]
  return id
}
