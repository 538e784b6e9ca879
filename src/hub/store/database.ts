/** Opens the database, PostgreSQL by URL or PGlite in a folder, and brings its tables up to date. */
import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { Kysely, Migrator, PostgresDialect, type PostgresPool } from 'kysely'
import type { Log } from '../../core/log.ts'
import { migrationProvider } from './migrations.ts'
import { cannotOpen, PglitePool } from './pglite-pool.ts'
import type { Schema } from './schema.ts'

export interface Database {
  kysely: Kysely<Schema>
  close(): Promise<void>
}

export interface DatabaseOptions {
  /** Folder of the embedded database's files. */
  dir: string
  databaseUrl: string | undefined
  log: Log
}

/** @throws Error of the driver when it cannot be reached, of the migration when that fails */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const pool = options.databaseUrl
    ? await serverPool(options.databaseUrl, options.log)
    : await embeddedPool(options)
  const kysely = new Kysely<Schema>({ dialect: new PostgresDialect({ pool }) })
  try {
    const { error } = await new Migrator({ db: kysely, provider: migrationProvider }).migrateToLatest()
    if (error) throw error
  } catch (error) {
    await kysely.destroy().catch(() => undefined)
    throw error
  }
  return { kysely, close: () => kysely.destroy() }
}

async function serverPool(url: string, log: Log): Promise<PostgresPool> {
  const { default: pg } = await import('pg')
  const pool = new pg.Pool({
    connectionString: url,
    max: 4,
    connectionTimeoutMillis: 10_000,
    idleTimeoutMillis: 60_000,
    statement_timeout: 60_000,
    application_name: 'holon',
  })
  // Connections break when the server restarts; without a listener that would end this process. The pool listens to those
  // that are idle, and to none that is in use: one that broke between two queries of a transaction once ended a hub.
  pool.on('error', (error) => log.warn({ error: error.message }, 'a connection to PostgreSQL broke'))
  pool.on('connect', (client) => client.on('error', () => undefined))
  return pool
}

async function embeddedPool({ dir, log }: DatabaseOptions): Promise<PostgresPool> {
  const dataDir = join(dir, 'pgdata')
  try {
    return await PglitePool.open(dataDir)
  } catch (error) {
    // Books are not worth a hub without books for ever. The files are kept for whoever wants to mend them; once, since
    // a second failure in a row has another cause than the files (a full disk).
    const code = (error as { code?: unknown }).code
    const names = await readdir(dir).catch(() => [])
    if (code !== cannotOpen || names.some((name) => name.startsWith('pgdata.broken-'))) throw error
    const aside = `${dataDir}.broken-${Date.now()}`
    await rename(dataDir, aside)
    log.error(
      { error, aside },
      'the embedded database did not open; its files were set aside and a new one begun',
    )
    return PglitePool.open(dataDir)
  }
}
