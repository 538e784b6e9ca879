/** A hub behind its own certificate, with real processes: its own commands, a node that joins, and one that does not trust it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, type Running, runCli } from '../support/cli.ts'
import { TestFleet } from '../support/fleet.ts'
import { makeCertificate } from '../support/make-certificate.ts'

const fleet = new TestFleet()
const dir = mkdtempSync(join(tmpdir(), 'holon-tls-cli-'))
const [ca, cert, key] = ['ca.pem', 'cert.pem', 'key.pem'].map((name) => join(dir, name)) as [
  string,
  string,
  string,
]
let env: Record<string, string>
let hub: Running
let url: string

beforeAll(async () => {
  const authority = makeCertificate({ names: ['Home authority'], isAuthority: true })
  // No address in it: the hub's own commands call 127.0.0.1 all the same.
  const own = makeCertificate({ names: ['localhost'], by: authority })
  writeFileSync(ca, authority.cert)
  writeFileSync(cert, own.cert)
  writeFileSync(key, own.key)
  env = { HOLON_HOME: fleet.home(), HOLON_PORT: '0' }
  hub = fleet.start(['up', '--no-open', '--tls-cert', cert, '--tls-key', key], env)
  url = (await hub.until(/Holon is up at (https:\S+)/))[1]!.replace('127.0.0.1', 'localhost')
  await hub.until(/is ready on|Models:/)
}, 120_000)
afterAll(async () => {
  await fleet.end()
  rmSync(dir, { recursive: true })
}, 60_000)

test('the hub’s own commands know it by its file', async () => {
  const status = await runCli(['status'], env)
  expect([status.code, status.stderr]).toEqual([0, ''])
  expect(status.stdout).toContain('is up at https://127.0.0.1')
})

test('commands elsewhere trust it by its authority, and say what to do when they do not', async () => {
  const home = fleet.home()
  const strange = await runCli(['nodes'], { HOLON_HOME: home, HOLON_HUB: url })
  expect(strange.code).toBe(1)
  expect(strange.stderr).toContain('nobody vouches for')
  expect(strange.stderr).toContain('HOLON_TLS_CA')
  expect((await runCli(['nodes'], { HOLON_HOME: home, HOLON_HUB: url, HOLON_TLS_CA: ca })).code).toBe(0)
  const extra = await runCli(['nodes'], { HOLON_HOME: home, HOLON_HUB: url, NODE_EXTRA_CA_CERTS: ca })
  expect(extra.code).toBe(0)
  const address = url.replace('localhost', '127.0.0.1')
  const renamed = await runCli(['nodes'], { HOLON_HOME: home, HOLON_HUB: address, HOLON_TLS_CA: ca })
  expect(renamed.stderr).toContain('a certificate for another name')
  const wrong = await runCli(['nodes'], { HOLON_HOME: home, HOLON_HUB: url, HOLON_TLS_CA: key })
  expect(wrong.stderr).toContain('holds no certificate')
})

test('a node joins over https, answers through wss, and leaves', async () => {
  const token = JSON.parse((await runCli(['nodes', 'token', '--json'], env)).stdout) as { token: string }
  const home = fleet.home('rare')
  const refused = await runCli(['join', url, '--token', token.token], { HOLON_HOME: home })
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('nobody vouches for')])
  const trusting = { HOLON_HOME: home, HOLON_TLS_CA: ca }
  const node = fleet.start(['join', url, '--token', token.token, '--name', 'far'], trusting)
  await node.until(/Connected to/)
  await eventually(
    'the node to be ready',
    async () => (await runCli(['nodes'], env)).stdout.includes('far'),
    60_000,
  )
  const answer = await runCli(['run', 'rare', 'What is Holon?'], env)
  expect([answer.code, answer.stdout.length > 20]).toEqual([0, true])
  node.child.kill('SIGTERM')
  await node.finished
  expect((await runCli(['logout'], trusting)).stdout).toContain('has left')
}, 120_000)

test.each([
  [['--tls-cert', cert], 'and no key with it'],
  [['--tls-cert', key, '--tls-key', key], 'holds no certificate'],
  [['--tls-cert', ca, '--tls-key', key], 'does not belong to the certificate'],
  [['--tls-cert', join(dir, 'none.pem'), '--tls-key', key], 'there is no such file'],
])('up %j ends with a sentence', async (flags, said) => {
  const result = await runCli(['up', '--no-open', ...flags], {
    HOLON_HOME: fleet.home(),
    HOLON_PORT: '0',
    HOLON_ENGINE: 'embedded',
  })
  expect([result.code, result.stderr]).toEqual([2, expect.stringContaining(said)])
  expect(result.stderr).not.toContain('    at ')
})
