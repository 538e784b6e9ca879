/**
 * The list of offered models in the database, with pins and lanes. A hub that was never curated must not open its
 * embedded database (some 300 MB) only to learn that, so an empty file beside it says whether there is anything to read.
 */
import { access, mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { CatalogueBook, CatalogueState, Offer } from '../catalogue/catalogue.ts'
import { type Rule, ruleKinds } from '../catalogue/placement-rules.ts'
import type { Database } from './database.ts'
import { bump } from './revisions.ts'

export interface CatalogueBookOptions {
  /** Folder of the store. */
  dir: string
  /** A database server may hold the list of a hub that lived in another folder: it is read without a mark too. */
  always: boolean
  open(): Promise<Database>
}

export function createCatalogueBook({ dir, always, open }: CatalogueBookOptions): CatalogueBook {
  const mark = join(dir, 'curated')
  return {
    curated: () =>
      access(mark).then(
        () => 'yes' as const,
        () => (always ? 'perhaps' : 'no'),
      ),
    read: () => told('read', () => readState(open)),
    write: (state) =>
      told('written', async () => {
        // In this order a cut leaves the mark without need, never a list or a pin without it.
        const isNeeded = state.mode === 'curated' || state.offers.length > 0 || state.rules.length > 0
        if (isNeeded) {
          await mkdir(dir, { recursive: true })
          await writeFile(mark, '')
        }
        await writeState(open, state)
        // The list is kept while the catalogue is open, for the day it is curated again.
        if (!isNeeded) await rm(mark, { force: true })
      }),
  }
}

async function told<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    if (cause instanceof HolonError) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    const message = `The list of offered models cannot be ${what}: ${why}.`
    throw new HolonError('store_unavailable', message, { cause, retryAfterS: 5 })
  }
}

async function readState(open: () => Promise<Database>): Promise<CatalogueState> {
  const { kysely } = await open()
  const rows = await kysely.selectFrom('catalogue').select(['kind', 'name']).orderBy('position').execute()
  const curated = rows.some((row) => row.kind === 'mode' && row.name === 'curated')
  const offers = rows.filter((row): row is Offer => row.kind === 'model' || row.kind === 'id')
  const rules = await kysely
    .selectFrom('placement_rules')
    .select(['kind', 'subject', 'object'])
    .orderBy('position')
    .execute()
  return {
    mode: curated ? 'curated' : 'open',
    offers: offers.map(({ kind, name }) => ({ kind, name })),
    rules: rules.filter((rule): rule is Rule => (ruleKinds as readonly string[]).includes(rule.kind)),
  }
}

/** The list is short and seldom changes: it is replaced whole, in one transaction. */
async function writeState(open: () => Promise<Database>, state: CatalogueState): Promise<void> {
  const { kysely } = await open()
  const rows = [{ kind: 'mode', name: state.mode }, ...state.offers].map((row, position) => ({
    ...row,
    position,
  }))
  await kysely.transaction().execute(async (transaction) => {
    await transaction.deleteFrom('catalogue').execute()
    await transaction.deleteFrom('placement_rules').execute()
    const rules = state.rules.map((rule, position) => ({ ...rule, position }))
    for (let at = 0; at < rules.length; at += 500) {
      await transaction
        .insertInto('placement_rules')
        .values(rules.slice(at, at + 500))
        .execute()
    }
    for (let at = 0; at < rows.length; at += 500) {
      await transaction
        .insertInto('catalogue')
        .values(rows.slice(at, at + 500))
        .execute()
    }
    await bump(transaction, 'catalogue')
  })
}
