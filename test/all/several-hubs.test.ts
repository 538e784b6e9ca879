/**
 * Two hubs on one real PostgreSQL behind one address: what one knows the other knows a moment later, and when one dies the
 * nodes and clients go on at the other. The one address is a proxy of a few lines here; nginx and the like do the same.
 */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { createHub, type Hub } from '../../src/hub/index.ts'
import type { CreateKeyResponse } from '../../src/protocol/keys.ts'
import { FakeEngine } from '../hub/fake-engine.ts'
import { aModel, FakeNode } from '../hub/fake-node.ts'
import { findPostgres, PostgresServer } from '../hub/postgres-server.ts'
import { chat, errorOf } from '../hub/start-hub.ts'
import { TestFleet } from '../support/fleet.ts'

const bin = findPostgres()
const owner = 'the-owners-own-long-secret'

interface Stand {
  hub: Hub
  url: string
  home: string
  engine: FakeEngine
}

describe.skipIf(bin === null)('two hubs on one PostgreSQL', () => {
  let server: PostgresServer
  let one: Stand
  let two: Stand
  let front: Server
  let behind: () => Stand
  const sockets = new Set<Socket>()
  const fleet = new TestFleet()

  async function start(name: string): Promise<Stand> {
    const engine = new FakeEngine()
    await engine.start()
    const home = await mkdtemp(join(tmpdir(), 'holon-hubs-'))
    const node = new FakeNode(engine.origin, [aModel('tiny'), aModel('other')], `node-${name}`, name)
    const hub = createHub({
      config: { host: '127.0.0.1', port: 0, version: '1', home, apiKey: owner, databaseUrl: server.url },
      nodes: [node],
      clock: systemClock,
      log: silentLog,
    })
    return { hub, url: (await hub.listen()).url, home, engine }
  }

  beforeAll(async () => {
    server = await PostgresServer.create(bin!)
    await server.start()
    ;[one, two] = await Promise.all([start('one'), start('two')])
    behind = () => one
    front = createServer((client) => {
      const hub = connect(Number(new URL(behind().url).port), '127.0.0.1')
      for (const [from, to] of [
        [client, hub],
        [hub, client],
      ] as const) {
        sockets.add(from)
        from.on('error', () => to.destroy()).on('close', () => to.destroy())
        from.pipe(to)
      }
    }).listen(0, '127.0.0.1')
    await once(front, 'listening')
  }, 60_000)
  afterAll(async () => {
    await fleet.end()
    for (const socket of sockets) socket.destroy()
    front.close()
    for (const { hub, engine, home } of [one, two]) {
      await hub.close(100)
      await engine.stop()
      await rm(home, { recursive: true, force: true })
    }
    await server.remove()
  }, 60_000)

  const as = (key: string) => ({ 'content-type': 'application/json', authorization: `Bearer ${key}` })
  const post = (stand: Stand, path: string, body: object, key = owner) =>
    fetch(stand.url + path, { method: 'POST', headers: as(key), body: JSON.stringify(body) })
  const get = async <T>(stand: Stand, path: string, key = owner) =>
    (await (await fetch(stand.url + path, { headers: as(key) })).json()) as T
  const models = async (stand: Stand, key = owner) =>
    (await fetch(`${stand.url}/v1/models`, { headers: as(key) })).status
  const make = async (wish: object) =>
    (await (await post(one, '/fleet/v1/keys', wish)).json()) as CreateKeyResponse

  test('a key made at one opens the other, and revoked at one ends its answers at both', async () => {
    const { key, info } = await make({ label: 'shared' })
    await expect.poll(() => models(two, key), { timeout: 10_000 }).toBe(200)
    const path = '/v1/chat/completions'
    const far = await post(two, path, chat('!stall', { stream: true }), key)
    const text = far.text()
    await expect.poll(() => two.engine.inFlight).toBe(1)
    await post(one, '/fleet/v1/keys/revoke', { key: info.id })
    expect(await text).toContain('was revoked')
    await expect.poll(() => two.engine.inFlight).toBe(0)
    expect(await models(two, key)).toBe(401)
    expect((await errorOf(await post(two, '/fleet/v1/keys/revoke', { key: info.id }))).error.code).toBe(
      'usage',
    )
  })

  test('the list of offered models, usage and the audit are one', async () => {
    await post(one, '/fleet/v1/catalogue/mode', { mode: 'curated' })
    await post(one, '/fleet/v1/catalogue/withdraw', { model: 'other' })
    const offered = async (stand: Stand) =>
      (await get<{ data: { id: string }[] }>(stand, '/v1/models')).data
        .map(({ id }) => id)
        .filter((id) => !id.startsWith('auto'))
    await expect.poll(() => offered(two), { timeout: 10_000 }).toEqual(['tiny'])
    await post(two, '/fleet/v1/catalogue/mode', { mode: 'open' })
    await expect.poll(() => offered(one), { timeout: 10_000 }).toHaveLength(2)

    const { key, info } = await make({ label: 'counted', limits: { tokensPerDay: 1_000_000 } })
    await expect.poll(() => models(two, key), { timeout: 10_000 }).toBe(200)
    for (const stand of [one, two, two]) {
      await (await post(stand, '/v1/chat/completions', chat('hello'), key)).text()
    }
    interface Usage {
      usage: { keyId: string; requests: number }[]
    }
    const counted = async () => {
      await get<Usage>(two, '/fleet/v1/keys/usage')
      const { usage } = await get<Usage>(one, '/fleet/v1/keys/usage')
      return usage.find(({ keyId }) => keyId === info.id)?.requests
    }
    await expect.poll(counted, { timeout: 10_000 }).toBe(3)
    const audit = await get<{ entries: { key: string }[] }>(two, '/fleet/v1/keys/audit')
    expect(audit.entries[0]?.key).toBe(info.id)
  })

  test('a node that was admitted at one comes to the other when that one dies, and both know when it is revoked', async () => {
    const { token } = (await (await post(one, '/fleet/v1/nodes/token', {})).json()) as { token: string }
    const address = `http://127.0.0.1:${(front.address() as { port: number }).port}`
    const home = fleet.home('rare')
    const node = fleet.start(['join', address, '--token', token, '--name', 'wanderer'], { HOLON_HOME: home })
    await node.until(/Connected to/)
    const has = async (stand: Stand) => {
      const { nodes } = await get<{ nodes: { name: string; state: string }[] }>(stand, '/fleet/v1/nodes')
      return nodes.find(({ name }) => name === 'wanderer')?.state
    }
    await expect.poll(() => has(one), { timeout: 30_000 }).toBe('ready')
    expect(await has(two)).toBeUndefined()

    behind = () => two
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => has(two), { timeout: 60_000, interval: 200 }).toMatch(/ready|starting/)
    await expect
      .poll(async () => (await post(two, '/v1/chat/completions', chat('hello', { model: 'rare' }))).status, {
        timeout: 60_000,
        interval: 500,
      })
      .toBe(200)

    // Rotated where it is, known where it comes back to.
    const rotated = await post(two, '/fleet/v1/nodes/rotate', { node: 'wanderer' })
    expect(rotated.status).toBe(200)
    behind = () => one
    for (const socket of sockets) socket.destroy()
    await expect.poll(() => has(one), { timeout: 60_000, interval: 200 }).toMatch(/ready|starting/)

    expect((await post(two, '/fleet/v1/nodes/revoke', { node: 'wanderer' })).status).toBe(200)
    const { code, stderr } = await node.finished
    expect([code, stderr]).toEqual([1, expect.stringContaining('revoked')])
  }, 240_000)

  test('keys go on working while the database is away, and changes are seen once it is back', async () => {
    const { key, info } = await make({ label: 'steady' })
    await expect.poll(() => models(two, key), { timeout: 10_000 }).toBe(200)
    await server.crash()
    expect(await models(two, key)).toBe(200)
    expect((await post(one, '/v1/chat/completions', chat('hello'), key)).status).toBe(200)
    expect((await post(one, '/fleet/v1/keys/revoke', { key: info.id })).status).toBe(503)
    // What could not be written down is not half done.
    expect(await models(one, key)).toBe(200)
    await server.start()
    await expect
      .poll(async () => (await post(one, '/fleet/v1/keys/revoke', { key: info.id })).status, {
        timeout: 20_000,
      })
      .toBe(200)
    await expect.poll(() => models(two, key), { timeout: 20_000 }).toBe(401)
  }, 90_000)
})
