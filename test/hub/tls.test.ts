/** The hub with a certificate of its own: real handshakes, files that are renewed while it runs, and files that are wrong. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type PeerCertificate } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readCertificate } from '../../src/core/certificate.ts'
import { FakeClock, systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { CertificateWatch } from '../../src/hub/certificate.ts'
import { createHub, type Hub } from '../../src/hub/index.ts'
import { makeCertificate, type TestCertificate } from '../support/make-certificate.ts'
import { FakeEngine } from './fake-engine.ts'
import { FakeNode } from './fake-node.ts'

let dir: string
let files: { cert: string; key: string }
const authority = makeCertificate({ names: ['Test authority'], isAuthority: true })
const good = makeCertificate({ names: ['127.0.0.1', 'localhost'], by: authority })

function put({ cert, key }: Pick<TestCertificate, 'cert' | 'key'>): void {
  // As renewal tools do: beside, then moved into place.
  for (const [path, text] of [
    [files.cert, cert],
    [files.key, key],
  ] as const) {
    writeFileSync(`${path}.new`, text)
    renameSync(`${path}.new`, path)
  }
}
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'holon-tls-'))
  files = { cert: join(dir, 'cert.pem'), key: join(dir, 'key.pem') }
  put(good)
})
afterEach(() => rmSync(dir, { recursive: true }))

describe('a certificate', () => {
  const read = () => readCertificate(files, Date.now(), (path) => readFile(path, 'utf8'))

  test('that is right is read with its end', async () => {
    expect((await read()).expiresMs).toBeGreaterThan(Date.now() + 86_400_000)
  })

  test.each<[string, () => void, RegExp]>([
    [
      'has the key of another',
      () => put({ cert: good.cert, key: authority.key }),
      /does not belong to the certificate/,
    ],
    ['has expired', () => put(makeCertificate({ names: ['x'], untilMs: Date.now() - 1_000 })), /expired on/],
    [
      'is not valid yet',
      () => put(makeCertificate({ names: ['x'], fromMs: Date.now() + 60_000 })),
      /not valid before/,
    ],
    [
      'is no certificate',
      () => put({ cert: 'hello', key: good.key }),
      /cert\.pem holds no certificate in PEM/,
    ],
    ['has no key', () => put({ cert: good.cert, key: 'hello' }), /key\.pem holds no private key in PEM/],
    ['is the key', () => put({ cert: good.key, key: good.key }), /holds no certificate/],
    ['is not there', () => rmSync(files.cert), /cannot be read: there is no such file/],
    [
      'has a locked key',
      () =>
        put({
          cert: good.cert,
          key: good.privateKey
            .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'x' })
            .toString(),
        }),
      /locked with a passphrase/,
    ],
  ])('that %s is refused with the reason and what to do', async (_, spoil, said) => {
    spoil()
    await expect(read()).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(said),
      hint: expect.stringMatching(/./),
    })
  })

  test('is read again when it was renewed, and kept while the renewal is not right', async () => {
    const clock = new FakeClock(Date.now())
    const seen: string[] = []
    const refused: string[] = []
    const watch = new CertificateWatch({
      files,
      clock,
      log: { ...silentLog, warn: (_, message) => refused.push(message) },
      onChange: ({ cert }) => seen.push(cert),
    })
    await watch.start()
    /** Looks again and again: a look reads files, and takes the time that takes. */
    const looked = (at: string[]) =>
      expect.poll(() => {
        clock.advance(5_000)
        return at
      })
    const next = makeCertificate({ names: ['127.0.0.1'], by: authority })
    put({ cert: next.cert, key: good.key })
    await looked(refused).toEqual(['the new certificate is not used; the old one stays'])
    expect(seen).toEqual([])
    put(next)
    await looked(seen).toEqual([next.cert])
    watch.close()
  })
})

describe('a hub with a certificate', () => {
  let engine: FakeEngine
  let hub: Hub
  let url: string
  const clock = new FakeClock(Date.now())
  beforeEach(async () => {
    engine = new FakeEngine()
    await engine.start()
    hub = createHub({
      config: { host: '127.0.0.1', port: 0, version: '1', home: join(dir, 'home'), tls: files },
      nodes: [new FakeNode(engine.origin)],
      // Only the watch of the files keeps to this clock in these tests; what else waits, waits for ever.
      clock: {
        now: () => systemClock.now(),
        after: (ms, fn) => (ms === 5_000 ? clock.after(ms, fn) : systemClock.after(ms, fn)),
      },
      log: silentLog,
    })
    url = (await hub.listen()).url
  })
  afterEach(async () => {
    await hub.close(200)
    await engine.stop()
  })

  function call(path: string, body?: object): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const req = request(url + path, {
        ca: authority.cert,
        agent: false,
        method: body ? 'POST' : 'GET',
        headers: { 'content-type': 'application/json' },
      })
      req.on('error', reject)
      req.on('response', (response) => {
        response.on('error', reject)
        let text = ''
        response.setEncoding('utf8').on('data', (chunk: string) => {
          text += chunk
        })
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
      })
      req.end(body && JSON.stringify(body))
    })
  }

  const shown = () =>
    new Promise<PeerCertificate>((resolve, reject) => {
      const socket = connect(
        { host: '127.0.0.1', port: Number(new URL(url).port), ca: authority.cert },
        () => {
          resolve(socket.getPeerCertificate())
          socket.destroy()
        },
      )
      socket.on('error', reject)
    })

  test('answers over https, streams included, and to those alone who trust it', async () => {
    expect(url).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    const messages = [{ role: 'user', content: 'hello' }]
    const answer = await call('/v1/chat/completions', { model: 'tiny', stream: true, messages })
    expect(answer.status).toBe(200)
    expect(answer.text).toContain('[DONE]')
    await expect(fetch(`${url}/health`)).rejects.toThrow()
    await expect(fetch(`${url.replace('https', 'http')}/health`)).rejects.toThrow()
  })

  test('shows a renewed certificate to new connections and ends no stream for it', async () => {
    const before = (await shown()).serialNumber
    const messages = [{ role: 'user', content: '!stall' }]
    const stalled = call('/v1/chat/completions', { model: 'tiny', stream: true, messages })
    stalled.catch(() => undefined)
    await expect.poll(() => engine.inFlight).toBe(1)
    put(makeCertificate({ names: ['127.0.0.1'], by: authority }))
    await expect
      .poll(async () => {
        clock.advance(5_000)
        return (await shown()).serialNumber
      })
      .not.toBe(before)
    expect(engine.inFlight).toBe(1)
    await hub.close(100)
    await expect(stalled).rejects.toThrow()
  })
})

test('a hub whose certificate is wrong does not start, and leaves nothing locked', async () => {
  put({ cert: good.cert, key: authority.key })
  const options = { host: '127.0.0.1', port: 0, version: '1', home: join(dir, 'home'), tls: files }
  const start = () => createHub({ config: options, nodes: [], clock: systemClock, log: silentLog })
  await expect(start().listen()).rejects.toMatchObject({ code: 'config_invalid' })
  put(good)
  const hub = start()
  await hub.listen()
  await hub.close(100)
})
