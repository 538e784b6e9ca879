/**
 * Whether a certificate and its key, in two files, can be used, and if not, which file is wrong and why. Asked by the hub that
 * serves with them and by `holon doctor`.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { HolonError } from './errors.ts'

export interface CertificateFiles {
  /** PEM: the certificate first, then those that lead to its authority. */
  cert: string
  /** PEM, without a passphrase. */
  key: string
}

export interface Certificate {
  cert: string
  key: string
  /** Milliseconds since the epoch. */
  expiresMs: number
}

const fixHint = 'Set HOLON_TLS_CERT and HOLON_TLS_KEY to a certificate and its private key, both in PEM.'
const warnBeforeMs = 14 * 86_400_000

/** Time to renew it: two weeks, or less, are left. Milliseconds since the epoch. */
export const expiresSoon = (expiresMs: number, nowMs: number): boolean => expiresMs - nowMs <= warnBeforeMs

type ReadText = (path: string) => Promise<string>

/** @throws HolonError config_invalid, saying which file is not right and why */
export async function readCertificate(
  files: CertificateFiles,
  nowMs: number,
  read: ReadText,
): Promise<Certificate> {
  const cert = await readPem(files.cert, 'certificate', read)
  const key = await readPem(files.key, 'private key', read)
  let parsed: X509Certificate
  try {
    parsed = new X509Certificate(cert)
  } catch (cause) {
    throw bad(`${files.cert} holds no certificate in PEM.`, fixHint, cause)
  }
  let matches: boolean
  try {
    matches = parsed.checkPrivateKey(createPrivateKey(key))
  } catch (cause) {
    const locked = /ENCRYPTED/.test(key)
    throw bad(
      locked
        ? `The private key in ${files.key} is locked with a passphrase.`
        : `${files.key} holds no private key in PEM.`,
      locked ? 'Unlock it: `openssl pkey -in LOCKED -out KEY`, readable by its owner alone.' : fixHint,
      cause,
    )
  }
  if (!matches) {
    throw bad(
      `The private key in ${files.key} does not belong to the certificate in ${files.cert}.`,
      'Name the two files of one certificate; in a chain the hub’s own certificate comes first.',
    )
  }
  const expiresMs = Date.parse(parsed.validTo)
  if (nowMs >= expiresMs) {
    throw bad(`The certificate in ${files.cert} expired on ${parsed.validTo}.`, 'Renew it.')
  }
  if (nowMs < Date.parse(parsed.validFrom)) {
    throw bad(`The certificate in ${files.cert} is not valid before ${parsed.validFrom}.`, 'Check the clock.')
  }
  return { cert, key, expiresMs }
}

async function readPem(path: string, what: string, read: ReadText): Promise<string> {
  try {
    return await read(path)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    const why =
      code === 'ENOENT' ? 'there is no such file' : code === 'EACCES' ? 'this user may not read it' : code
    throw bad(`The ${what} ${path} cannot be read: ${why}.`, fixHint, cause)
  }
}

function bad(message: string, hint: string, cause?: unknown): HolonError {
  return new HolonError('config_invalid', message, { hint, cause })
}
