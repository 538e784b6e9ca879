/**
 * The hub's books. What happens goes to the journal at once and from there to the database in batches, when there is
 * something to load and nobody waits for it. The database opens late and an embedded one closes when idle: it holds
 * some 300 MB that models can use better. A database that is down loses nothing; the journal keeps growing until
 * it is back.
 */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../core/clock.ts'
import { HolonError } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Log } from '../../core/log.ts'
import type { CatalogueBook } from '../catalogue/catalogue.ts'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import { createCatalogueBook } from './catalogue-book.ts'
import { type Database, openDatabase } from './database.ts'
import { lockDir } from './dir-lock.ts'
import { Journal } from './journal.ts'
import { PoolBook } from './pool-book.ts'
import {
  type EventRecord,
  eventLine,
  idOf,
  insertLines,
  latestEvents,
  type UsageSummary,
  usageByModel,
  usageLine,
  wholeLines,
} from './rows.ts'

export interface StoreOptions {
  /** HOLON_HOME; the store lives in `store` under it. */
  home: string
  databaseUrl: string | undefined
  clock: Clock
  log: Log
  /** Milliseconds after which waiting lines are loaded. */
  loadMs?: number
  /** Lines that are loaded without waiting for that. */
  loadLines?: number
  /** Milliseconds without use after which an embedded database is closed. */
  idleMs?: number
}

/** Each batch is one commit, which costs as much as some hundred rows. */
const batchLines = 5_000
const firstRetryMs = 5_000
const lastRetryMs = 300_000

export class Store {
  /** The list of offered models. */
  readonly catalogue: CatalogueBook
  /** The pools that are wanted. */
  readonly pools: PoolBook
  private readonly options: Required<Omit<StoreOptions, 'databaseUrl'>> & { databaseUrl: string | undefined }
  /** Folder of the store. */
  readonly dir: string
  /** Unique to this life of the hub; with a counter it makes ids that no other life can make. */
  readonly life = newId('u', 12)
  private readonly journal: Journal
  private counter = 0
  private unloaded = 0
  private unlock: (() => void) | null = null
  private database: Promise<Database> | null = null
  /** The closing of the database that was open before. */
  private letGo: Promise<void> = Promise.resolve()
  private loading: Promise<void> | null = null
  private stopLoadTimer: (() => void) | null = null
  private stopIdleTimer: (() => void) | null = null
  private retryMs = firstRetryMs
  private closed = false

  constructor(options: StoreOptions) {
    this.options = { loadMs: 60_000, loadLines: 20_000, idleMs: 150_000, ...options }
    this.dir = join(options.home, 'store')
    const { clock, log } = options
    const always = options.databaseUrl !== undefined
    this.catalogue = createCatalogueBook({ dir: this.dir, always, open: () => this.open() })
    this.pools = new PoolBook({ dir: this.dir, always, open: () => this.open() })
    this.journal = new Journal({ dir: join(this.dir, 'journal'), clock, log })
  }

  /** Whether other hubs may be on the same books. */
  get shared(): boolean {
    return this.options.databaseUrl !== undefined
  }

  /**
   * Takes the folder and arranges for what an earlier life left in the journal.
   * @throws HolonError already_running
   */
  async start(): Promise<void> {
    this.unlock = lockDir(this.dir)
    await this.journal.open()
    if (this.journal.size > 0) this.scheduleLoad(this.options.loadMs)
  }

  record(row: AnswerRecord): void {
    this.remember(usageLine(this.makeId(), row))
  }

  event(type: string, data: Record<string, unknown>): void {
    this.remember(eventLine(this.makeId(), { time: this.options.clock.now(), type, data }))
  }

  /**
   * Requests and tokens per model, everything recorded so far included.
   * @throws HolonError store_unavailable
   */
  usage(): Promise<UsageSummary[]> {
    return this.read((database) => usageByModel(database.kysely))
  }

  /**
   * What happened to the fleet, newest first.
   * @throws HolonError store_unavailable
   */
  history(limit = 200): Promise<EventRecord[]> {
    return this.read((database) => latestEvents(database.kysely, limit))
  }

  private async read<T>(query: (database: Database) => Promise<T>): Promise<T> {
    try {
      await this.load()
      return await query(await this.open())
    } catch (error) {
      throw unavailable(error)
    }
  }

  /**
   * Work on the database for those who cannot wait for the journal, such as admissions.
   * @throws HolonError store_unavailable
   */
  async use<T>(work: (database: Database['kysely']) => Promise<T>): Promise<T> {
    try {
      return await work((await this.open()).kysely)
    } catch (error) {
      throw unavailable(error)
    }
  }

  /** Moves the journal into the database. Concurrent calls share one run, and start another only if lines came since. */
  async load(): Promise<void> {
    while (this.loading !== null) await this.loading.catch(() => undefined)
    this.loading = this.loadOnce().finally(() => {
      this.loading = null
    })
    return this.loading
  }

  /** Writes what is in memory and lets go of the folder. An open database gets the lines; a closed one is not opened. */
  async close(): Promise<void> {
    if (this.closed) return
    this.closed = true
    this.stopLoadTimer?.()
    this.stopIdleTimer?.()
    await this.loading?.catch(() => undefined)
    await this.journal.close()
    const database = this.database
    this.database = null
    await database?.then((open) => open.close()).catch(() => undefined)
    await this.letGo
    this.unlock?.()
    this.unlock = null
  }

  private makeId(): string {
    return `${this.life}_${(this.counter++).toString(36)}`
  }

  private remember(line: string): void {
    if (this.closed) return
    this.journal.append(line)
    this.unloaded++
    if (this.unloaded === this.options.loadLines) this.scheduleLoad(0)
    else if (this.stopLoadTimer === null) this.scheduleLoad(this.options.loadMs)
  }

  private scheduleLoad(ms: number): void {
    this.stopLoadTimer?.()
    if (this.closed) return
    this.stopLoadTimer = this.options.clock.after(ms, () => {
      this.stopLoadTimer = null
      this.load().catch((error: unknown) => {
        this.options.log.warn({ error }, 'usage stays in the journal: the database did not take it')
        this.scheduleLoad(this.retryMs)
        this.retryMs = Math.min(lastRetryMs, this.retryMs * 2)
      })
    })
  }

  private async loadOnce(): Promise<void> {
    this.unloaded = 0
    const files = await this.journal.sealed()
    if (files.length === 0) return
    const { kysely } = await this.open()
    for (const file of files) {
      const { lines, torn } = wholeLines(await readFile(file, 'utf8'))
      if (torn > 0) this.options.log.warn({ torn }, 'a journal file ended in a torn line, as after a kill')
      for (let at = 0; at < lines.length; at += batchLines) {
        await this.insert(kysely, lines.slice(at, at + batchLines))
      }
      await this.journal.remove(file)
    }
    this.retryMs = firstRetryMs
  }

  /** A line that the database calls invalid must not hold up the others for ever: it alone is left out. */
  private async insert(kysely: Database['kysely'], lines: readonly string[]): Promise<void> {
    try {
      await insertLines(kysely, lines)
    } catch (error) {
      if (!isDataError(error)) throw error
      if (lines.length === 1) {
        this.options.log.error({ error, id: idOf(lines[0]!) }, 'a usage line is not valid and was left out')
        return
      }
      const half = Math.ceil(lines.length / 2)
      await this.insert(kysely, lines.slice(0, half))
      await this.insert(kysely, lines.slice(half))
    }
  }

  private open(): Promise<Database> {
    if (this.closed) return Promise.reject(new HolonError('store_unavailable', 'The store is closed.'))
    const { databaseUrl, log } = this.options
    // The folder of an embedded database has one owner: the idle one must have let go of it.
    this.database ??= this.letGo
      .then(() => openDatabase({ dir: this.dir, databaseUrl, log }))
      .catch((error: unknown) => {
        this.database = null
        throw error
      })
    this.putOffIdle()
    return this.database
  }

  private putOffIdle(): void {
    if (this.options.databaseUrl !== undefined) return
    this.stopIdleTimer?.()
    this.stopIdleTimer = this.options.clock.after(this.options.idleMs, () => {
      this.stopIdleTimer = null
      if (this.loading !== null) return this.putOffIdle()
      const idle = this.database
      this.database = null
      if (idle) this.letGo = idle.then((open) => open.close()).catch(() => undefined)
    })
  }
}

function unavailable(error: unknown): HolonError {
  if (error instanceof HolonError) return error
  const why = error instanceof Error ? error.message : String(error)
  return new HolonError('store_unavailable', `The store cannot be used: ${why}.`, {
    cause: error,
    retryAfterS: 5,
  })
}

/** PostgreSQL's classes 22 (data exception) and 23 (integrity constraint). */
function isDataError(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === 'string' && (code.startsWith('22') || code.startsWith('23'))
}
