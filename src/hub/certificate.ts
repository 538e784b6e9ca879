/**
 * The hub's own certificate: read from two files, checked before it is used, and read again when the files change, so that
 * a renewal reaches new connections without ending one. A renewal that cannot be used leaves the old one in place.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import type { Clock } from '../core/clock.ts'
import { asHolonError, HolonError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'

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
const lookEveryMs = 5_000
const warnBeforeMs = 14 * 86_400_000

/** @throws HolonError config_invalid, saying which file is not right and why */
export async function readCertificate(files: CertificateFiles, nowMs: number): Promise<Certificate> {
  const cert = await readPem(files.cert, 'certificate')
  const key = await readPem(files.key, 'private key')
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

async function readPem(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
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

export interface CertificateWatchOptions {
  files: CertificateFiles
  clock: Clock
  log: Log
  /** Told of a new one that can be used. */
  onChange(certificate: Certificate): void
}

/** Looks at the files by name every few seconds: watching them misses the links that renewal tools move. */
export class CertificateWatch {
  private readonly options: CertificateWatchOptions
  private seen = ''
  private problem = ''
  private warned = false
  private stopTimer: (() => void) | null = null
  private closed = false

  constructor(options: CertificateWatchOptions) {
    this.options = options
  }

  /** @throws HolonError config_invalid */
  async start(): Promise<Certificate> {
    const { files, clock } = this.options
    this.seen = await signature(files)
    const certificate = await readCertificate(files, clock.now())
    this.warnOfEnd(certificate)
    this.schedule(certificate)
    return certificate
  }

  close(): void {
    this.closed = true
    this.stopTimer?.()
  }

  private schedule(current: Certificate): void {
    if (this.closed) return
    this.stopTimer = this.options.clock.after(lookEveryMs, () => {
      void this.look(current).then((next) => this.schedule(next))
    })
  }

  private async look(current: Certificate): Promise<Certificate> {
    const { files, clock, log, onChange } = this.options
    this.warnOfEnd(current)
    const now = await signature(files)
    if (now === this.seen) return current
    try {
      const next = await readCertificate(files, clock.now())
      if (this.closed) return current
      this.seen = now
      this.problem = ''
      this.warned = false
      onChange(next)
      log.info({ until: new Date(next.expiresMs).toISOString() }, 'A new certificate is in use.')
      return next
    } catch (thrown) {
      // Perhaps one of the two files is written and the other not yet: looked at again until it is right.
      const { message } = asHolonError(thrown)
      if (message !== this.problem)
        log.warn({ problem: message }, 'the new certificate is not used; the old one stays')
      this.problem = message
      return current
    }
  }

  private warnOfEnd({ expiresMs }: Certificate): void {
    if (this.warned || expiresMs - this.options.clock.now() > warnBeforeMs) return
    this.warned = true
    this.options.log.warn({ until: new Date(expiresMs).toISOString() }, 'the certificate expires soon')
  }
}

async function signature(files: CertificateFiles): Promise<string> {
  const parts = await Promise.all(
    [files.cert, files.key].map((path) =>
      stat(path).then(
        ({ mtimeMs, size, ino }) => `${mtimeMs} ${size} ${ino}`,
        () => 'missing',
      ),
    ),
  )
  return parts.join('|')
}
