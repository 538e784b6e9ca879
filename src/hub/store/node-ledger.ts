/** The books of admission: nodes with the hashes of their credentials, join tokens, and who did what. */
import type { Kysely } from 'kysely'
import { newId } from '../../core/ids.ts'
import { bump } from './revisions.ts'
import type { Schema } from './schema.ts'
import type { Store } from './store.ts'

export interface NodeRecord {
  readonly id: string
  readonly name: string
  readonly credentialHash: string
  /** Sent to the node and not yet used by it; null when there is none. */
  readonly nextHash: string | null
  readonly rotatedMs: number
  readonly admittedBy: string
  readonly admittedMs: number
  readonly revokedMs: number | null
}

export interface AuditEntry {
  /** For example `token.created`, `node.admitted`, `node.revoked`. */
  action: string
  node: string | null
  actor: string
  detail: string
}

export type TokenFate = 'taken' | 'unknown' | 'expired' | 'used'

export class NodeLedger {
  private readonly store: Store

  constructor(store: Store) {
    this.store = store
  }

  /** Whether another hub may write here too. */
  get shared(): boolean {
    return this.store.shared
  }

  nodes(): Promise<NodeRecord[]> {
    return this.store.use(async (db) => {
      const rows = await db.selectFrom('nodes').selectAll().orderBy('admitted_at').execute()
      return rows.map((row) => ({
        id: row.id,
        name: row.name,
        credentialHash: row.credential_hash,
        nextHash: row.next_hash,
        rotatedMs: row.rotated_at.getTime(),
        admittedBy: row.admitted_by,
        admittedMs: row.admitted_at.getTime(),
        revokedMs: row.revoked_at?.getTime() ?? null,
      }))
    })
  }

  addToken(hash: string, by: string, nowMs: number, expiresMs: number): Promise<void> {
    return this.store.use(async (db) => {
      await db
        .insertInto('join_tokens')
        .values({
          hash,
          created_by: by,
          created_at: new Date(nowMs),
          expires_at: new Date(expiresMs),
          used_by: null,
        })
        .execute()
      // What is long over is of no use but to whoever reads the files.
      await db
        .deleteFrom('join_tokens')
        .where('expires_at', '<', new Date(nowMs - 30 * 86_400_000))
        .execute()
      await write(db, nowMs, { action: 'token.created', node: null, actor: by, detail: '' })
    })
  }

  /** Uses a token up and admits the node, both or neither: of two that come with one token, one is admitted. */
  admitByToken(hash: string, node: NodeRecord, actor: string): Promise<TokenFate> {
    return this.store.use((db) =>
      db.transaction().execute(async (transaction) => {
        const now = new Date(node.admittedMs)
        const taken = await transaction
          .updateTable('join_tokens')
          .set({ used_at: now, used_by: node.id })
          .where('hash', '=', hash)
          .where('used_at', 'is', null)
          .where('expires_at', '>', now)
          .returning('hash')
          .execute()
        if (taken.length === 1) {
          await insert(transaction, node, actor)
          return 'taken'
        }
        const token = await transaction
          .selectFrom('join_tokens')
          .selectAll()
          .where('hash', '=', hash)
          .executeTakeFirst()
        const fate = !token ? 'unknown' : token.used_at ? 'used' : 'expired'
        const detail = `the token is ${fate}${token?.used_by ? ` by ${token.used_by}` : ''}`
        await write(transaction, node.admittedMs, { action: 'node.refused', node: node.name, actor, detail })
        return fate
      }),
    )
  }

  admit(node: NodeRecord, actor: string): Promise<void> {
    return this.store.use((db) => db.transaction().execute((transaction) => insert(transaction, node, actor)))
  }

  setNextHash(id: string, nextHash: string, nowMs: number): Promise<void> {
    return this.store.use(async (db) => {
      await db.updateTable('nodes').set({ next_hash: nextHash }).where('id', '=', id).execute()
      await write(db, nowMs, { action: 'node.rotating', node: id, actor: 'hub', detail: '' })
      await bump(db, 'nodes')
    })
  }

  /** The node has used its new credential: the old one is void. */
  promote(id: string, hash: string, nowMs: number): Promise<void> {
    return this.store.use(async (db) => {
      await db
        .updateTable('nodes')
        .set({ credential_hash: hash, next_hash: null, rotated_at: new Date(nowMs) })
        .where('id', '=', id)
        .execute()
      await write(db, nowMs, { action: 'node.rotated', node: id, actor: 'node', detail: '' })
      await bump(db, 'nodes')
    })
  }

  revoke(id: string, actor: string, nowMs: number): Promise<void> {
    return this.store.use(async (db) => {
      await db
        .updateTable('nodes')
        .set({ revoked_at: new Date(nowMs) })
        .where('id', '=', id)
        .execute()
      await write(db, nowMs, { action: 'node.revoked', node: id, actor, detail: '' })
      await bump(db, 'nodes')
    })
  }

  audit(entry: AuditEntry, nowMs: number): Promise<void> {
    return this.store.use((db) => write(db, nowMs, entry))
  }

  /** Newest first. */
  audits(limit: number): Promise<(AuditEntry & { timeMs: number })[]> {
    return this.store.use(async (db) => {
      const rows = await db
        .selectFrom('admissions')
        .selectAll()
        .where('action', 'not like', 'key.%')
        .orderBy('time', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute()
      return rows.map(({ time, action, node, actor, detail }) => ({
        timeMs: time.getTime(),
        action,
        node,
        actor,
        detail,
      }))
    })
  }
}

async function insert(db: Kysely<Schema>, node: NodeRecord, actor: string): Promise<void> {
  await db
    .insertInto('nodes')
    .values({
      id: node.id,
      name: node.name,
      credential_hash: node.credentialHash,
      next_hash: null,
      rotated_at: new Date(node.rotatedMs),
      admitted_by: node.admittedBy,
      admitted_at: new Date(node.admittedMs),
      revoked_at: null,
    })
    .execute()
  const detail = `named ${node.name}, by ${node.admittedBy}`
  await write(db, node.admittedMs, { action: 'node.admitted', node: node.id, actor, detail })
  await bump(db, 'nodes')
}

async function write(db: Kysely<Schema>, nowMs: number, entry: AuditEntry): Promise<void> {
  await db
    .insertInto('admissions')
    .values({ id: newId('adm'), time: new Date(nowMs), ...entry, detail: entry.detail.slice(0, 500) })
    .execute()
}
