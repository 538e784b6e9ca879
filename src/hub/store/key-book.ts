/** The books of keys: what each may do, by the hash of its secret, and who made and revoked it. */
import { type Kysely, sql } from 'kysely'
import { newId } from '../../core/ids.ts'
import { type KeyLimits, keyLimits } from '../../protocol/keys.ts'
import { type Lane, lanes } from '../../protocol/lane.ts'
import { type Mark, markAt } from './mark.ts'
import { bump } from './revisions.ts'
import type { KeysTable, Schema } from './schema.ts'
import type { Store } from './store.ts'

export interface KeyRecord {
  readonly id: string
  readonly hash: string
  /** The beginning of the secret, to tell keys apart. */
  readonly hint: string
  readonly label: string
  readonly models: readonly string[] | null
  readonly lanes: readonly Lane[]
  readonly admin: boolean
  readonly limits: KeyLimits
  readonly createdBy: string
  readonly createdMs: number
  readonly expiresMs: number | null
  readonly revokedMs: number | null
  readonly revokedBy: string | null
}

export interface KeyAuditEntry {
  timeMs: number
  action: string
  key: string | null
  actor: string
  detail: string
}

export interface KeyUsageRow {
  keyId: string | null
  requests: number
  promptTokens: number
  completionTokens: number
  errors: number
  lastMs: number | null
}

export class KeyBook {
  private readonly store: Store
  private readonly mark: Mark

  constructor(store: Store) {
    this.store = store
    this.mark = markAt(store.dir, 'keys')
  }

  /** False when no key was ever made here, so that an embedded database need not be opened only to learn that. */
  async mayHaveKeys(): Promise<boolean> {
    return this.store.shared || (await this.mark.isSet())
  }

  all(): Promise<KeyRecord[]> {
    return this.store.use(async (db) => {
      const rows = await db.selectFrom('api_keys').selectAll().orderBy('created_at').orderBy('id').execute()
      return rows.map(toRecord)
    })
  }

  async add(record: KeyRecord, actor: string): Promise<void> {
    // In this order a cut leaves the mark without need, never keys that nobody looks for.
    await this.mark.set()
    await this.store.use((db) =>
      db.transaction().execute(async (transaction) => {
        await transaction.insertInto('api_keys').values(toRow(record)).execute()
        const detail = `labelled ${record.label}${record.admin ? ', admin' : ''}`
        await write(transaction, record.createdMs, 'key.created', record.id, actor, detail)
        await bump(transaction, 'keys')
      }),
    )
  }

  /** False when it was revoked before, which then stands. */
  revoke(id: string, actor: string, nowMs: number): Promise<boolean> {
    return this.store.use((db) =>
      db.transaction().execute(async (transaction) => {
        const changed = await transaction
          .updateTable('api_keys')
          .set({ revoked_at: new Date(nowMs), revoked_by: actor })
          .where('id', '=', id)
          .where('revoked_at', 'is', null)
          .returning('label')
          .execute()
        if (changed.length === 0) return false
        await write(transaction, nowMs, 'key.revoked', id, actor, `labelled ${changed[0]!.label}`)
        await bump(transaction, 'keys')
        return true
      }),
    )
  }

  /** Takes a key out of the books; what it used stays in the books of usage. */
  forget(id: string, actor: string, nowMs: number): Promise<void> {
    return this.store.use((db) =>
      db.transaction().execute(async (transaction) => {
        await transaction.deleteFrom('api_keys').where('id', '=', id).execute()
        await write(transaction, nowMs, 'key.forgotten', id, actor, '')
        await bump(transaction, 'keys')
      }),
    )
  }

  /** Newest first. */
  audits(limit: number): Promise<KeyAuditEntry[]> {
    return this.store.use(async (db) => {
      const rows = await db
        .selectFrom('admissions')
        .selectAll()
        .where('action', 'like', 'key.%')
        .orderBy('time', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
      return rows.map(({ time, action, key_id, actor, detail }) => ({
        timeMs: time.getTime(),
        action,
        key: key_id,
        actor,
        detail,
      }))
    })
  }

  /** Requests and tokens per key, everything recorded so far included. A request whose client left is no error. */
  async usage(): Promise<KeyUsageRow[]> {
    await this.store.load()
    return this.store.use(async (db) => {
      const rows = await db
        .selectFrom('usage')
        .select(({ fn }) => [
          'key_id',
          fn.countAll<string>().as('requests'),
          fn.sum<string>('prompt_tokens').as('promptTokens'),
          fn.sum<string>('completion_tokens').as('completionTokens'),
          fn.max('time').as('last'),
          fn
            .count<string>('id')
            .filterWhere((where) => where.and([where('status', '>=', 400), where('status', '!=', 499)]))
            .as('errors'),
        ])
        .groupBy('key_id')
        .orderBy('requests', 'desc')
        .execute()
      return rows.map((row) => ({
        keyId: row.key_id,
        requests: Number(row.requests),
        promptTokens: Number(row.promptTokens),
        completionTokens: Number(row.completionTokens),
        errors: Number(row.errors),
        lastMs: row.last === null ? null : new Date(row.last).getTime(),
      }))
    })
  }

  /** Tokens of this day and month (UTC) per key that this life of the hub did not count itself. */
  async usedElsewhere(nowMs: number): Promise<Map<string, { day: number; month: number }>> {
    await this.store.load()
    const day = new Date(new Date(nowMs).toISOString().slice(0, 10))
    const month = new Date(`${new Date(nowMs).toISOString().slice(0, 7)}-01`)
    return this.store.use(async (db) => {
      const tokens = sql<string>`sum(prompt_tokens + completion_tokens)`
      const rows = await db
        .selectFrom('usage')
        .select([
          'key_id',
          tokens.as('month'),
          sql<string | null>`sum(prompt_tokens + completion_tokens) filter (where time >= ${day})`.as('day'),
        ])
        .where('key_id', 'is not', null)
        .where('time', '>=', month)
        .where(sql<string>`left(id, ${this.store.life.length})`, '!=', this.store.life)
        .groupBy('key_id')
        .execute()
      return new Map(
        rows.map((row) => [row.key_id!, { day: Number(row.day ?? 0), month: Number(row.month) }]),
      )
    })
  }
}

async function write(
  db: Kysely<Schema>,
  nowMs: number,
  action: string,
  key: string,
  actor: string,
  detail: string,
): Promise<void> {
  await db
    .insertInto('admissions')
    .values({ id: newId('adm'), time: new Date(nowMs), action, node: null, key_id: key, actor, detail })
    .execute()
}

function toRow(record: KeyRecord) {
  return {
    id: record.id,
    hash: record.hash,
    hint: record.hint,
    label: record.label,
    models: record.models === null ? null : JSON.stringify(record.models),
    lanes: JSON.stringify(record.lanes),
    admin: record.admin,
    limits: JSON.stringify(record.limits),
    created_by: record.createdBy,
    created_at: new Date(record.createdMs),
    expires_at: record.expiresMs === null ? null : new Date(record.expiresMs),
    revoked_at: null,
    revoked_by: null,
  }
}

type KeyRow = { [Column in keyof KeysTable]: unknown } & {
  created_at: Date
  expires_at: Date | null
  revoked_at: Date | null
}

/** A newer Holon on the same books may know more lanes and limits: what is not known here opens nothing. */
function toRecord(row: KeyRow): KeyRecord {
  return {
    id: row.id as string,
    hash: row.hash as string,
    hint: row.hint as string,
    label: row.label as string,
    models: row.models as string[] | null,
    lanes: (row.lanes as string[]).filter((name): name is Lane => lanes.includes(name as Lane)),
    admin: row.admin as boolean,
    limits: keyLimits.parse(row.limits),
    createdBy: row.created_by as string,
    createdMs: row.created_at.getTime(),
    expiresMs: row.expires_at?.getTime() ?? null,
    revokedMs: row.revoked_at?.getTime() ?? null,
    revokedBy: row.revoked_by as string | null,
  }
}
