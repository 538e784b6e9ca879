/**
 * How two members prove to each other that they belong to one launch: TLS with a pre-shared key, one per pair of members
 * and launch. There is no certificate to expire, no key on a disk, and nobody else to trust. The cipher was chosen by
 * measuring (docs/decisions/0015-wire.md): ECDHE makes yesterday's traffic safe from a secret that leaks tomorrow, and
 * with only PSK suites offered there is no way into a handshake without the secret.
 */
import { createHash } from 'node:crypto'
import { HolonError } from '../../core/errors.ts'

export const tlsTerms = {
  minVersion: 'TLSv1.2',
  maxVersion: 'TLSv1.2',
  ciphers: 'ECDHE-PSK-CHACHA20-POLY1305',
  ecdhCurve: 'X25519',
} as const

/** Who speaks to whom, for what; it travels in the clear, so it says nothing beyond that. */
export function identityOf(launch: string, from: number, to: number): string {
  // Identities are short in TLS; launches have any length.
  const name = createHash('sha256').update(launch).digest('base64url').slice(0, 22)
  return `holon/${name}/${from}/${to}`
}

/** @throws HolonError pool_wire_failed when it is not the base64url of 32 bytes */
export function readSecret(secret: string): Buffer {
  const bytes = Buffer.from(secret, 'base64url')
  if (bytes.length !== 32)
    throw new HolonError('pool_wire_failed', 'A secret of the launch is not 32 bytes long.')
  return bytes
}
