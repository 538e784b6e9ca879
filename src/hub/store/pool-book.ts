/**
 * The pools that are wanted, so that a hub that was restarted forms them again. A hub that never had one must not open
 * its embedded database (some 300 MB) only to learn that, so an empty file beside it says whether there is anything to read.
 */
import { access, mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HolonError } from '../../core/errors.ts'
import type { PoolWish } from '../../pool/controller/effects.ts'
import { poolWish } from '../../protocol/pools.ts'
import type { Database } from './database.ts'

export interface PoolBookOptions {
  /** Folder of the store. */
  dir: string
  /** A database server may hold the pools of a hub that lived in another folder: it is read without a mark too. */
  always: boolean
  open(): Promise<Database>
}

export class PoolBook {
  private readonly options: PoolBookOptions
  private readonly mark: string

  constructor(options: PoolBookOptions) {
    this.options = options
    this.mark = join(options.dir, 'pools')
  }

  /** Oldest first. What an older hub cannot read is left out. @throws HolonError store_unavailable */
  async all(): Promise<PoolWish[]> {
    const marked = await access(this.mark).then(
      () => true,
      () => false,
    )
    if (!marked && !this.options.always) return []
    return this.with('read', async ({ kysely }) => {
      const rows = await kysely.selectFrom('pools').select('wish').orderBy('created_at').execute()
      return rows
        .map(({ wish }) => poolWish.safeParse(wish))
        .flatMap((read) => (read.success ? [read.data] : []))
    })
  }

  /** @throws HolonError store_unavailable, and then nothing has changed */
  async add(wish: PoolWish, nowMs: number): Promise<void> {
    // In this order a cut leaves the mark without need, never a pool without it.
    await mkdir(this.options.dir, { recursive: true })
    await writeFile(this.mark, '')
    const text = JSON.stringify(wish)
    await this.with('written', ({ kysely }) =>
      kysely
        .insertInto('pools')
        .values({ name: wish.name, wish: text, created_at: new Date(nowMs) })
        .onConflict((conflict) => conflict.column('name').doUpdateSet({ wish: text }))
        .execute(),
    )
  }

  /** @throws HolonError store_unavailable, and then nothing has changed */
  async remove(name: string): Promise<void> {
    await this.with('written', ({ kysely }) => kysely.deleteFrom('pools').where('name', '=', name).execute())
  }

  private async with<T>(what: string, work: (database: Database) => Promise<T>): Promise<T> {
    try {
      return await work(await this.options.open())
    } catch (cause) {
      if (cause instanceof HolonError) throw cause
      const why = cause instanceof Error ? cause.message : String(cause)
      throw new HolonError('store_unavailable', `The list of pools cannot be ${what}: ${why}.`, {
        cause,
        retryAfterS: 5,
      })
    }
  }
}
