/**
 * The hub's own certificate: checked before it is used, and read again when its files change, so that a renewal reaches new
 * connections without ending one. A renewal that cannot be used leaves the old one in place.
 */
import { readFile, stat } from 'node:fs/promises'
import { type Certificate, type CertificateFiles, expiresSoon, readCertificate } from '../core/certificate.ts'
import type { Clock } from '../core/clock.ts'
import { asHolonError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'

const lookEveryMs = 5_000
const readText = (path: string): Promise<string> => readFile(path, 'utf8')

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
    const certificate = await readCertificate(files, clock.now(), readText)
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
      const next = await readCertificate(files, clock.now(), readText)
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
    if (this.warned || !expiresSoon(expiresMs, this.options.clock.now())) return
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
