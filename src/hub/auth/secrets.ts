/** Secrets as they are made, shown once and kept: random, and by their hash only. */
import { hash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 256 random bits need no slow hash: nobody can try them out. @param prefix tells a reader of a file what it is */
export function newSecret(prefix: string): string {
  return `${prefix}_${randomBytes(32).toString('base64url')}`
}

export function hashOf(secret: string): string {
  return hash('sha256', secret, 'hex')
}

/** Takes the same time wherever the two differ. */
export function sameHash(one: string, other: string | null): boolean {
  if (other === null || one.length !== other.length) return false
  return timingSafeEqual(Buffer.from(one), Buffer.from(other))
}

/** Consonants only: a code to be read aloud that spells nothing, and none is taken for another (RFC 8628, 6.1). */
const codeLetters = 'BCDFGHJKLMNPQRSTVWXZ'

/** Such as `WDJB-MJHT`: 8 letters, 34.5 bits. */
export function newUserCode(): string {
  let code = ''
  while (code.length < 8) {
    for (const byte of randomBytes(16)) {
      // 240 is a multiple of 20: no letter is likelier than another.
      if (byte < 240 && code.length < 8) code += codeLetters[byte % 20]
    }
  }
  return `${code.slice(0, 4)}-${code.slice(4)}`
}

/** What a person typed, as it was shown: case, spaces and dashes do not matter. Null when it cannot be a code. */
export function readUserCode(typed: string): string | null {
  const letters = typed.toUpperCase().replaceAll(/[^A-Z]/g, '')
  return letters.length === 8 ? `${letters.slice(0, 4)}-${letters.slice(4)}` : null
}
