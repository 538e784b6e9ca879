/**
 * Whom to believe that it is the hub. Beside what the system trusts: the authority named by HOLON_TLS_CA. A hub of this very
 * machine is known by the certificate file it serves, since it is called by an address that no certificate names.
 */
import { readFileSync } from 'node:fs'
import { rootCertificates } from 'node:tls'
import { Agent, fetch as undiciFetch } from 'undici'
import { HolonError } from '../core/errors.ts'

export interface HubTrust {
  fetch: typeof fetch
  /** PEM; undefined when the system's authorities are enough. */
  ca: string | undefined
}

/** @throws HolonError config_invalid when the file cannot be read */
export function hubTrust(caFile: string | null): HubTrust {
  if (caFile === null) return { fetch, ca: undefined }
  const ca = read(caFile)
  return { fetch: fetchWith({ ca: [...rootCertificates, ca], allowPartialTrustChain: true }), ca }
}

/** For the hub that runs here: its own certificate and no other, whatever name it is called by. */
export function pinnedTo(certFile: string): HubTrust {
  const ca = read(certFile)
  return { fetch: fetchWith({ ca, allowPartialTrustChain: true, checkServerIdentity: () => undefined }), ca }
}

function fetchWith(connect: object): typeof fetch {
  const dispatcher = new Agent({ connect })
  const send = (input: string, init: object = {}) => undiciFetch(input, { ...init, dispatcher })
  return send as unknown as typeof fetch
}

function read(path: string): string {
  try {
    const text = readFileSync(path, 'utf8')
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text
  } catch (cause) {
    throw new HolonError('config_invalid', `The certificate ${path} cannot be read.`, {
      hint: 'HOLON_TLS_CA names a file with the certificates of authorities, in PEM.',
      cause,
    })
  }
  throw new HolonError('config_invalid', `${path} holds no certificate in PEM.`, {
    hint: 'HOLON_TLS_CA names a file with the certificates of authorities, in PEM.',
  })
}
