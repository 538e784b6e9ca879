/** Logging in, leaving, and the credential in between, as a person does it: real processes against a real hub. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { eventually, runCli } from '../support/cli.ts'
import { ready, TestFleet, type TestHub } from '../support/fleet.ts'

const ownerKey = 'a-long-secret-of-the-owner'
const fleet = new TestFleet()
let hub: TestHub
let adminKey: string
let userKey: string

beforeAll(async () => {
  hub = await fleet.hub(fleet.home(), { HOLON_API_KEY: ownerKey })
  const made = async (...args: string[]) => (await runCli(['keys', 'create', ...args], hub.env)).stdout.trim()
  adminKey = await made('ops', '--admin')
  userKey = await made('user')
}, 120_000)
afterAll(() => fleet.end(), 60_000)

const identityIn = (home: string) => join(home, 'node.json')
const readIdentity = (home: string) =>
  JSON.parse(readFileSync(identityIn(home), 'utf8')) as { nodeId: string; credential: string }

/** What the owner does in a browser: opens the page that was printed, types a key, and decides. */
async function decide(page: string, key: string, decision: 'approve' | 'deny'): Promise<number> {
  const html = await (await fetch(page)).text()
  const csrf = /name="csrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const user_code = new URL(page).searchParams.get('user_code') ?? ''
  const response = await fetch(`${hub.url}/device`, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', origin: hub.url },
    body: new URLSearchParams({ user_code, csrf, key, decision }),
  })
  return response.status
}

async function login(home: string, ...args: string[]) {
  const running = fleet.start(['login', hub.url, ...args], { HOLON_HOME: home })
  const page = (await running.until(/(http:\S+\/device\?user_code=\S+)/))[1]!
  return { running, page }
}

test('login waits for a person with an admin key, writes the identity for its owner alone, and does not ask twice', async () => {
  const home = fleet.home()
  const { running, page } = await login(home, '--name', 'attic', '--json')
  expect(await decide(page, 'a guess', 'approve')).toBe(403)
  expect(await decide(page, userKey, 'approve')).toBe(403)
  expect(existsSync(identityIn(home))).toBe(false)
  expect(await decide(page, adminKey, 'approve')).toBe(200)
  const done = await running.finished
  expect(done.code).toBe(0)
  const told = JSON.parse(done.stdout) as { hub: string; name: string }
  expect(told).toMatchObject({ hub: hub.url, name: 'attic' })
  expect(done.stdout + done.stderr).not.toContain(readIdentity(home).credential)
  const again = await runCli(['login', hub.url], { HOLON_HOME: home })
  expect([again.code, again.stdout]).toEqual([0, expect.stringContaining('This machine is attic at')])

  const out = await runCli(['logout', '--json'], { HOLON_HOME: home })
  expect(JSON.parse(out.stdout)).toEqual({ hub: hub.url, name: 'attic', forgottenByHub: true })
  expect(existsSync(identityIn(home))).toBe(false)
  const audit = await runCli(['nodes', 'audit'], hub.env)
  expect(audit.stdout).toMatch(/node\.revoked[\s\S]*the node itself/)
  const nothing = await runCli(['logout'], { HOLON_HOME: home })
  expect([nothing.code, nothing.stderr]).toEqual([2, expect.stringContaining('has joined no fleet')])
}, 90_000)

test('login that the owner turns down ends with that, and leaves nothing', async () => {
  const home = fleet.home()
  const { running, page } = await login(home)
  expect(await decide(page, ownerKey, 'deny')).toBe(200)
  const { code, stderr } = await running.finished
  expect([code, stderr]).toEqual([1, expect.stringContaining('turned this machine away')])
  expect(existsSync(identityIn(home))).toBe(false)
}, 60_000)

test('logout of a node that is running is refused; of one whose hub is away works here and says what is left', async () => {
  const node = await fleet.node(hub, 'cellar')
  const running = await runCli(['logout'], { HOLON_HOME: node.home })
  expect([running.code, running.stderr]).toEqual([1, expect.stringContaining('Holon is running on')])
  node.running.child.kill('SIGTERM')
  await node.running.finished
  const identity = readIdentity(node.home)
  writeFileSync(identityIn(node.home), JSON.stringify({ ...identity, hub: 'http://127.0.0.1:9' }))
  const away = await runCli(['logout'], { HOLON_HOME: node.home })
  expect(away.code).toBe(0)
  expect(away.stderr).toContain('The hub still knows this machine: holon nodes revoke cellar')
  expect(existsSync(identityIn(node.home))).toBe(false)
  expect((await runCli(['nodes', 'revoke', 'cellar'], hub.env)).code).toBe(0)
}, 90_000)

test('a credential that was rotated is the one it comes back with, and the old one is void from then on', async () => {
  const node = await fleet.node(hub, 'garage')
  const old = readIdentity(node.home)
  expect((await runCli(['nodes', 'rotate', 'garage'], hub.env)).code).toBe(0)
  const fresh = readIdentity(node.home)
  expect(fresh.credential).not.toBe(old.credential)
  // Not used yet: both are good, so that a power cut now locks nobody out.
  node.running.child.kill('SIGKILL')
  await node.running.finished
  const back = fleet.start(['join'], { HOLON_HOME: node.home })
  await back.until(/Connected to/)
  await ready(hub, 'garage')
  await eventually('the books to have it', async () =>
    (await runCli(['nodes', 'audit'], hub.env)).stdout.includes('node.rotated'),
  )
  const leave = ({ nodeId, credential }: typeof old) =>
    fetch(`${hub.url}/fleet/v1/leave`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nodeId, credential }),
    }).then(({ status }) => status)
  expect(await leave(old)).toBe(401)
  expect((await hub.nodes()).find(({ name }) => name === 'garage')?.state).toBe('ready')
  expect(await leave(fresh)).toBe(200)
  const gone = await back.finished
  expect([gone.code, gone.stderr]).toEqual([1, expect.stringContaining('revoked')])
}, 120_000)
