/** All migrations, by name, in order. A static map: there are no files to find at run time. Never edit one that shipped. */
import { type Kysely, type Migration, type MigrationProvider, sql } from 'kysely'

const usageAndEvents: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('usage')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('time', 'timestamptz', (column) => column.notNull())
      .addColumn('request_id', 'text', (column) => column.notNull())
      .addColumn('endpoint', 'text', (column) => column.notNull())
      .addColumn('model', 'text', (column) => column.notNull())
      .addColumn('node', 'text', (column) => column.notNull())
      .addColumn('engine', 'text', (column) => column.notNull())
      .addColumn('status', 'integer', (column) => column.notNull())
      .addColumn('error', 'text')
      .addColumn('stream', 'boolean', (column) => column.notNull())
      .addColumn('prompt_tokens', 'integer', (column) => column.notNull())
      .addColumn('cached_tokens', 'integer', (column) => column.notNull())
      .addColumn('completion_tokens', 'integer', (column) => column.notNull())
      .addColumn('exact_tokens', 'boolean', (column) => column.notNull())
      .addColumn('queue_ms', 'real', (column) => column.notNull())
      .addColumn('ttft_ms', 'real')
      .addColumn('duration_ms', 'real', (column) => column.notNull())
      .addColumn('prefill_tok_s', 'real')
      .addColumn('decode_tok_s', 'real')
      .addColumn('retries', 'integer', (column) => column.notNull())
      .addColumn('key_id', 'text')
      .execute()
    await db.schema.createIndex('usage_model_time').on('usage').columns(['model', 'time']).execute()
    await db.schema
      .createTable('events')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('time', 'timestamptz', (column) => column.notNull())
      .addColumn('type', 'text', (column) => column.notNull())
      .addColumn('data', 'jsonb', (column) => column.notNull().defaultTo(sql`'{}'::jsonb`))
      .execute()
    await db.schema.createIndex('events_time').on('events').column('time').execute()
  },
}

const catalogue: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('catalogue')
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('position', 'integer', (column) => column.notNull())
      .addPrimaryKeyConstraint('catalogue_key', ['kind', 'name'])
      .execute()
  },
}

const admissions: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('nodes')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('credential_hash', 'text', (column) => column.notNull())
      .addColumn('next_hash', 'text')
      .addColumn('rotated_at', 'timestamptz', (column) => column.notNull())
      .addColumn('admitted_by', 'text', (column) => column.notNull())
      .addColumn('admitted_at', 'timestamptz', (column) => column.notNull())
      .addColumn('revoked_at', 'timestamptz')
      .execute()
    await db.schema
      .createTable('join_tokens')
      .addColumn('hash', 'text', (column) => column.primaryKey())
      .addColumn('created_by', 'text', (column) => column.notNull())
      .addColumn('created_at', 'timestamptz', (column) => column.notNull())
      .addColumn('expires_at', 'timestamptz', (column) => column.notNull())
      .addColumn('used_at', 'timestamptz')
      .addColumn('used_by', 'text')
      .execute()
    await db.schema
      .createTable('admissions')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('time', 'timestamptz', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('node', 'text')
      .addColumn('actor', 'text', (column) => column.notNull())
      .addColumn('detail', 'text', (column) => column.notNull())
      .execute()
    await db.schema.createIndex('admissions_time').on('admissions').column('time').execute()
  },
}

const keys: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('api_keys')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('hash', 'text', (column) => column.notNull().unique())
      .addColumn('hint', 'text', (column) => column.notNull())
      .addColumn('label', 'text', (column) => column.notNull())
      .addColumn('models', 'jsonb')
      .addColumn('lanes', 'jsonb', (column) => column.notNull())
      .addColumn('admin', 'boolean', (column) => column.notNull())
      .addColumn('limits', 'jsonb', (column) => column.notNull())
      .addColumn('created_by', 'text', (column) => column.notNull())
      .addColumn('created_at', 'timestamptz', (column) => column.notNull())
      .addColumn('expires_at', 'timestamptz')
      .addColumn('revoked_at', 'timestamptz')
      .addColumn('revoked_by', 'text')
      .execute()
    await db.schema.alterTable('admissions').addColumn('key_id', 'text').execute()
    await db.schema
      .createTable('revisions')
      .addColumn('subject', 'text', (column) => column.primaryKey())
      .addColumn('revision', 'integer', (column) => column.notNull())
      .execute()
    await sql`insert into revisions (subject, revision) values ('keys', 0), ('nodes', 0), ('catalogue', 0)`.execute(
      db,
    )
    await db.schema.createIndex('usage_key_time').on('usage').columns(['key_id', 'time']).execute()
  },
}

const pins: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('placement_rules')
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('subject', 'text', (column) => column.notNull())
      .addColumn('object', 'text', (column) => column.notNull())
      .addColumn('position', 'integer', (column) => column.notNull())
      .addPrimaryKeyConstraint('placement_rules_key', ['kind', 'subject', 'object'])
      .execute()
  },
}

const pools: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema
      .createTable('pools')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('wish', 'jsonb', (column) => column.notNull())
      .addColumn('created_at', 'timestamptz', (column) => column.notNull())
      .execute()
  },
}

/** What nobody asks for costs every row: no query is by model, and none by key asks for those without. */
const fewerIndexes: Migration = {
  async up(db: Kysely<unknown>): Promise<void> {
    await db.schema.dropIndex('usage_model_time').execute()
    await db.schema.dropIndex('usage_key_time').execute()
    await sql`create index usage_key_time on usage (key_id, time) where key_id is not null`.execute(db)
  },
}

const migrations: Record<string, Migration> = {
  '0001-usage-and-events': usageAndEvents,
  '0002-catalogue': catalogue,
  '0003-admissions': admissions,
  '0004-keys': keys,
  '0005-pins': pins,
  '0006-pools': pools,
  '0007-fewer-indexes': fewerIndexes,
}

export const migrationProvider: MigrationProvider = { getMigrations: async () => migrations }
