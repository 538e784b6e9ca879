/**
 * Certificates for tests, made without OpenSSL's command: X.509 version 3 in DER (RFC 5280), ECDSA on P-256. Only what
 * the tests ask for: names, dates, an authority or its own.
 */
import { createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { isIPv4 } from 'node:net'

export interface TestCertificate {
  /** PEM. */
  cert: string
  key: string
  name: string
  privateKey: KeyObject
}

export interface CertificateWish {
  /** DNS names and IPv4 addresses; the first is the subject. */
  names: string[]
  /** Who signs; itself when not given. */
  by?: TestCertificate
  isAuthority?: boolean
  /** Milliseconds since the epoch. */
  fromMs?: number
  untilMs?: number
}

let serial = 1

export function makeCertificate(wish: CertificateWish): TestCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const { names, by, fromMs = Date.now() - 3_600_000, untilMs = Date.now() + 30 * 86_400_000 } = wish
  const name = names[0] ?? 'nobody'
  const algorithm = sequence(oid([1, 2, 840, 10045, 4, 3, 2]))
  const extensions = [
    extension([2, 5, 29, 17], sequence(...names.map(alternativeName))),
    ...(wish.isAuthority ? [extension([2, 5, 29, 19], sequence(der(0x01, Buffer.from([0xff]))))] : []),
  ]
  const body = sequence(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([0x01, serial >> 8, serial++ & 0xff])),
    algorithm,
    commonName(by?.name ?? name),
    sequence(time(fromMs), time(untilMs)),
    commonName(name),
    createPublicKey(publicKey.export({ type: 'spki', format: 'pem' })).export({
      type: 'spki',
      format: 'der',
    }),
    der(0xa3, sequence(...extensions)),
  )
  const signature = sign('sha256', body, by?.privateKey ?? privateKey)
  const whole = sequence(body, algorithm, der(0x03, Buffer.concat([Buffer.from([0]), signature])))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    name,
    privateKey,
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from([tag, ...size]), content])
}

const sequence = (...parts: Buffer[]): Buffer => der(0x30, Buffer.concat(parts))

function oid(numbers: number[]): Buffer {
  const [first = 0, second = 0, ...rest] = numbers
  const bytes = rest.flatMap((number) => {
    const groups = [number & 0x7f]
    for (let left = number >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
    return groups
  })
  return der(0x06, Buffer.from([first * 40 + second, ...bytes]))
}

const extension = (id: number[], value: Buffer): Buffer => sequence(oid(id), der(0x04, value))

const commonName = (name: string): Buffer =>
  sequence(der(0x31, sequence(oid([2, 5, 4, 3]), der(0x0c, Buffer.from(name)))))

const alternativeName = (name: string): Buffer =>
  isIPv4(name) ? der(0x87, Buffer.from(name.split('.').map(Number))) : der(0x82, Buffer.from(name))

/** Dates before 2050 are written with two digits for the year. */
function time(ms: number): Buffer {
  const text = new Date(ms).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)
  return der(0x17, Buffer.from(`${text}Z`))
}
