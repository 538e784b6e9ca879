/** What a failed TLS handshake means to a person. The codes are OpenSSL's and Node's. */
const untrusted = new Set([
  'SELF_SIGNED_CERT_IN_CHAIN',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
])

export interface TlsProblem {
  /** The end of a sentence that begins with who was called. */
  what: string
  hint: string
}

/** Null when it failed for another reason. @param error as fetch or a WebSocket throws it, with its causes */
export function tlsProblem(error: unknown): TlsProblem | null {
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    const code = (at as { code?: unknown }).code
    if (typeof code !== 'string') continue
    if (untrusted.has(code)) {
      return {
        what: `shows a certificate that nobody vouches for whom this machine trusts (${code})`,
        hint: 'Name the file of the authority that signed it, or of the certificate itself, with HOLON_TLS_CA or tls_ca in holon.toml.',
      }
    }
    if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
      return {
        what: 'shows a certificate for another name',
        hint: 'Use the name that stands in the certificate.',
      }
    }
    if (code === 'CERT_HAS_EXPIRED' || code === 'CERT_NOT_YET_VALID') {
      const what = code === 'CERT_HAS_EXPIRED' ? 'has expired' : 'is not valid yet'
      return {
        what: `shows a certificate that ${what}`,
        hint: 'Check the clock of this machine; else the owner of the hub must renew the certificate.',
      }
    }
    if (code === 'ERR_SSL_WRONG_VERSION_NUMBER' || code === 'EPROTO') {
      return { what: 'does not speak TLS', hint: 'Use http:// instead of https://.' }
    }
  }
  return null
}
