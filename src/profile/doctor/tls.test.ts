import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { makeCertificate } from '../../../test/support/make-certificate.ts'
import { checkTls, namesIn, readTls, type TlsFacts } from './tls.ts'

const folder = mkdtempSync(join(tmpdir(), 'holon-doctor-tls-'))
afterAll(() => rmSync(folder, { recursive: true }))
const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
const day = 86_400_000

function put(names: string[], days: number, keyOf?: { key: string }): void {
  const made = makeCertificate({ names, fromMs: Date.now() - 100 * day, untilMs: Date.now() + days * day })
  writeFileSync(files.cert, made.cert)
  rmSync(files.key, { force: true })
  writeFileSync(files.key, (keyOf ?? made).key, { mode: 0o600 })
}

async function examine(host: string) {
  const checks = checkTls(await readTls(files, host), Date.now())
  return Object.fromEntries(checks.map((check) => [check.id, check]))
}

describe('the certificate of the hub', () => {
  it('is not looked for where there is none', async () => {
    expect(checkTls(await readTls(null, '127.0.0.1'), Date.now())).toEqual([])
  })

  it('that is right is good until its day, for its names', async () => {
    put(['127.0.0.1', 'localhost'], 90)
    expect(await examine('127.0.0.1')).toEqual({
      certificate: expect.objectContaining({
        status: 'ok',
        detail: expect.stringMatching(/^good until \d{4}-\d\d-\d\d, for 127\.0\.0\.1, localhost$/),
      }),
    })
  })

  it.each([
    ['is not there', () => rmSync(files.cert), 'there is no such file'],
    ['has no key file', () => rmSync(files.key), 'there is no such file'],
    [
      'has the key of another',
      () => put(['127.0.0.1'], 90, makeCertificate({ names: ['x'] })),
      'does not belong',
    ],
    ['has expired', () => put(['127.0.0.1'], -1), 'expired on'],
    ['is no certificate', () => writeFileSync(files.cert, 'hello'), 'holds no certificate'],
  ])('that %s fails, with what to do', async (_, spoil, said) => {
    put(['127.0.0.1'], 90)
    spoil()
    expect(await examine('127.0.0.1')).toEqual({
      certificate: expect.objectContaining({
        status: 'fail',
        detail: expect.stringContaining(said),
        hint: expect.stringMatching(/./),
      }),
    })
  })

  it.each([
    [15.5, 'ok', 'good until'],
    [13.5, 'warn', 'expires in 13 days, on '],
    [1.5, 'warn', 'expires in 1 day, on '],
    [0.5, 'warn', 'expires today or tomorrow'],
  ])('with %d days left: %s', async (days, status, said) => {
    put(['127.0.0.1'], days)
    const { certificate } = await examine('127.0.0.1')
    expect(certificate).toMatchObject({ status, detail: expect.stringContaining(said) })
  })

  it.runIf(process.platform !== 'win32')('whose key others may read is a warning', async () => {
    put(['127.0.0.1'], 90)
    chmodSync(files.key, 0o640)
    expect(await examine('127.0.0.1')).not.toHaveProperty('certificate-key')
    chmodSync(files.key, 0o644)
    expect((await examine('127.0.0.1'))['certificate-key']).toMatchObject({
      status: 'warn',
      hint: `Close it with \`chmod 600 ${files.key}\`.`,
    })
  })
})

describe('the names in the certificate', () => {
  it.each([
    [['127.0.0.1'], '127.0.0.1'],
    [['localhost'], '127.0.0.1'],
    [['127.0.0.1'], 'localhost'],
    [['127.0.0.1'], '0.0.0.0'],
    [['hub.invalid', '*.example.lan'], '127.0.0.1'],
  ])('%j is for a hub on %s', async (names, host) => {
    put(names, 90)
    expect(await examine(host)).not.toHaveProperty('certificate-names')
  })

  it.each([
    [['192.0.2.7'], '127.0.0.1', 'the hub listens on 127.0.0.1, and'],
    [['192.0.2.7', 'hub.invalid'], '0.0.0.0', 'the hub listens on this machine, and'],
  ])('%j is for another than one on %s', async (names, host, said) => {
    put(names, 90)
    expect((await examine(host))['certificate-names']).toMatchObject({
      status: 'warn',
      detail: expect.stringContaining(said),
    })
  })

  it('that leads to an address of this machine is right for one on every address', () => {
    const facts: TlsFacts = {
      files,
      host: '0.0.0.0',
      certificate: { expiresMs: 90 * day, names: ['hub.lan'] },
      leadsTo: { 'hub.lan': ['192.168.1.5'] },
      addresses: ['127.0.0.1', '192.168.1.5'],
      keyMode: 0o600,
    }
    expect(checkTls(facts, 0).map(({ id }) => id)).toEqual(['certificate'])
    const moved = { ...facts, addresses: ['127.0.0.1', '192.168.1.6'] }
    expect(checkTls(moved, 0).map(({ id }) => id)).toEqual(['certificate', 'certificate-names'])
  })

  it('are read as Node writes them', () => {
    expect(namesIn('DNS:hub.lan, IP Address:10.0.0.7, URI:spiffe://x')).toEqual(['hub.lan', '10.0.0.7'])
    expect(namesIn(undefined)).toEqual([])
  })
})
