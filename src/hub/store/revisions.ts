/**
 * Hubs on one PostgreSQL hold keys, admissions and catalogue in memory, and learn of each other's changes by a number per
 * subject that every change raises in its own transaction.
 */
import type { Kysely } from 'kysely'
import type { Schema } from './schema.ts'

export const subjects = ['keys', 'nodes', 'catalogue'] as const
export type Subject = (typeof subjects)[number]

/** Within the transaction of the change. */
export async function bump(db: Kysely<Schema>, subject: Subject): Promise<void> {
  await db
    .updateTable('revisions')
    .set(({ eb }) => ({ revision: eb('revision', '+', 1) }))
    .where('subject', '=', subject)
    .execute()
}
