/** The certificate that the hub of this machine serves with: can it be used, how long yet, at which addresses, and who reads its key? */
import { X509Certificate } from 'node:crypto'
import { lookup } from 'node:dns/promises'
import { readFile, stat } from 'node:fs/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import { type CertificateFiles, expiresSoon, readCertificate } from '../../core/certificate.ts'
import { asHolonError, type HolonError } from '../../core/errors.ts'
import { type Check, checkCalled } from './check.ts'

export interface TlsFacts {
  files: CertificateFiles
  /** The address the hub listens on. */
  host: string
  /** The certificate, or why it cannot be used. */
  certificate: { expiresMs: number; names: string[] } | HolonError
  /** The addresses that each of its names leads to; none for a pattern, and for a name that is not known here. */
  leadsTo: Record<string, string[]>
  /** This machine's. */
  addresses: string[]
  /** Permission bits of the key's file; null when there is no such file, and on Windows. */
  keyMode: number | null
}

const patienceMs = 2_000
/** A certificate can hold hundreds of names; these few tell whether it is this machine's. */
const namesAsked = 10

/** Null when the hub serves without TLS. */
export async function readTls(files: CertificateFiles | null, host: string): Promise<TlsFacts | null> {
  if (files === null) return null
  const certificate = await readCertificate(files, Date.now(), (path) => readFile(path, 'utf8')).then(
    ({ cert, expiresMs }) => ({ expiresMs, names: namesIn(new X509Certificate(cert).subjectAltName) }),
    asHolonError,
  )
  const names = 'names' in certificate ? certificate.names : []
  const key = process.platform === 'win32' ? null : await stat(files.key).catch(() => null)
  return {
    files,
    host,
    certificate,
    leadsTo: Object.fromEntries(
      await Promise.all(names.slice(0, namesAsked).map(async (name) => [name, await addressesOf(name)])),
    ),
    addresses: Object.values(networkInterfaces()).flatMap((list) =>
      (list ?? []).map(({ address }) => address),
    ),
    keyMode: key === null ? null : key.mode & 0o777,
  }
}

/** `DNS:hub.lan, IP Address:10.0.0.7`, as Node writes the names of a certificate. */
export function namesIn(subjectAltName: string | undefined): string[] {
  const parts = (subjectAltName ?? '').split(', ')
  return parts.flatMap((part) => /^(?:DNS|IP Address):(.+)$/.exec(part)?.[1] ?? [])
}

async function addressesOf(name: string): Promise<string[]> {
  if (isIP(name) !== 0) return [name]
  if (name.includes('*')) return []
  const late = new Promise<[]>((resolve) => setTimeout(resolve, patienceMs, []).unref())
  const found = lookup(name, { all: true }).catch(() => [])
  return (await Promise.race([found, late])).map(({ address }) => address)
}

const everywhere = new Set(['0.0.0.0', '::', ''])

/**
 * Whether somebody can call the hub by a name in the certificate. A name that leads here does; a pattern is given the benefit
 * of the doubt, for the names that it stands for are not known.
 */
function isReached({ host, leadsTo, addresses }: TlsFacts, names: readonly string[]): boolean {
  if (names.some((name) => name.includes('*') || name === host)) return true
  const targets = Object.values(leadsTo).flat()
  const here = everywhere.has(host) ? addresses : host === 'localhost' ? ['127.0.0.1', '::1'] : [host]
  return targets.some((address) => here.includes(address))
}

export function checkTls(facts: TlsFacts | null, nowMs: number): Check[] {
  if (facts === null) return []
  const checks = [checkCertificate(facts, nowMs), checkNames(facts), checkKeyMode(facts)]
  return checks.filter((check) => check !== null)
}

function checkCertificate({ files, certificate }: TlsFacts, nowMs: number): Check {
  const { ok, warn, fail } = checkCalled('certificate', 'Certificate')
  if (!('names' in certificate)) return fail(certificate.message, certificate.hint ?? 'Correct the setting.')
  const { expiresMs, names } = certificate
  const day = new Date(expiresMs).toISOString().slice(0, 10)
  if (expiresSoon(expiresMs, nowMs)) {
    const days = Math.floor((expiresMs - nowMs) / 86_400_000)
    const left = days === 0 ? 'today or tomorrow' : `in ${days} ${days === 1 ? 'day' : 'days'}, on ${day}`
    return warn(`${files.cert} expires ${left}`, 'Renew it: the hub takes new files without a restart.')
  }
  const more = names.length > 4 ? ` and ${names.length - 4} more` : ''
  return ok(`good until ${day}, for ${names.slice(0, 4).join(', ')}${more}`)
}

function checkNames(facts: TlsFacts): Check | null {
  const { certificate, host, files } = facts
  if (!('names' in certificate)) return null
  const { names } = certificate
  if (isReached(facts, names)) return null
  const { warn } = checkCalled('certificate-names', 'Certificate names')
  const where = everywhere.has(host) ? 'this machine' : host
  const stands = names.length === 0 ? 'no name' : names.slice(0, 4).join(', ')
  return warn(
    `the hub listens on ${where}, and ${files.cert} is for ${stands}: clients will refuse it`,
    'Have one made for the name or address that clients call, or set HOLON_HOST to one that is in it.',
  )
}

function checkKeyMode({ files, keyMode }: TlsFacts): Check | null {
  if (keyMode === null || (keyMode & 0o007) === 0) return null
  return checkCalled('certificate-key', 'Certificate key').warn(
    `every user of this machine may read ${files.key}, and whoever has it can pass for this hub`,
    `Close it with \`chmod 600 ${files.key}\`.`,
  )
}
