/** The same store on a real PostgreSQL, which goes away and comes back. Needs Debian's `postgresql` or Homebrew's. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { sql } from 'kysely'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { silentLog } from '../../src/core/log.ts'
import { openDatabase } from '../../src/hub/store/database.ts'
import { Store } from '../../src/hub/store/store.ts'
import { findPostgres, PostgresServer } from '../hub/postgres-server.ts'
import { aRecord } from '../hub/records.ts'

const bin = findPostgres()

describe.skipIf(bin === null)('the store on PostgreSQL', () => {
  let server: PostgresServer
  let home: string
  beforeAll(async () => {
    server = await PostgresServer.create(bin!)
    await server.start()
    home = await mkdtemp(join(tmpdir(), 'holon-store-'))
  })
  afterAll(async () => {
    await server.remove()
    await rm(home, { recursive: true, force: true })
  })

  const open = async () => {
    const store = new Store({ home, databaseUrl: server.url, clock: systemClock, log: silentLog })
    await store.start()
    return store
  }
  const journalFiles = () => readdir(join(home, 'store/journal'))

  test('a connection that breaks within a transaction fails that transaction, and nothing else', async () => {
    const { kysely, close } = await openDatabase({ dir: home, databaseUrl: server.url, log: silentLog })
    const broken = kysely.transaction().execute(async (transaction) => {
      await sql`select 1`.execute(transaction)
      await server.crash()
      await sql`select 1`.execute(transaction)
    })
    await expect(broken).rejects.toThrow()
    await server.start()
    expect((await sql`select 1 as one`.execute(kysely)).rows).toEqual([{ one: 1 }])
    await close()
  })

  test('loses nothing while the database is down and counts everything once it is back', async () => {
    const store = await open()
    for (let row = 0; row < 500; row++) store.record(aRecord({ status: row % 5 === 0 ? 500 : 200 }))
    expect(await store.usage()).toEqual([
      { model: 'tiny', requests: 500, promptTokens: 3500, completionTokens: 2000, errors: 100 },
    ])
    await server.crash()
    for (let row = 0; row < 300; row++) store.record(aRecord({ model: 'other' }))
    await expect(store.usage()).rejects.toMatchObject({ code: 'store_unavailable' })
    expect((await journalFiles()).length).toBeGreaterThan(0)
    await server.start()
    const rows = await store.usage()
    expect(rows.map((row) => [row.model, row.requests])).toEqual([
      ['tiny', 500],
      ['other', 300],
    ])
    expect(await journalFiles()).toEqual([])
    await store.close()
  })

  test('keeps two hubs’ books apart and migrates once when both start together', async () => {
    const otherHome = await mkdtemp(join(tmpdir(), 'holon-store-'))
    const first = await open()
    const second = new Store({ home: otherHome, databaseUrl: server.url, clock: systemClock, log: silentLog })
    await second.start()
    first.record(aRecord({ model: 'shared' }))
    second.record(aRecord({ model: 'shared' }))
    await Promise.all([first.load(), second.load()])
    const rows = await first.usage()
    expect(rows.find((row) => row.model === 'shared')?.requests).toBe(2)
    await first.close()
    await second.close()
    await rm(otherHome, { recursive: true, force: true })
  })
})
