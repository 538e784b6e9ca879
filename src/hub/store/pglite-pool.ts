/** PGlite behind the face of a `pg.Pool` with one connection, so that one dialect and one set of migrations serve both. */
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import { childEntry } from '../../core/child-entry.ts'
import type { WorkerReply, WorkerRequest } from './pglite-worker.ts'

interface QueryResult {
  command: 'INSERT' | 'UPDATE' | 'DELETE' | 'SELECT' | 'MERGE'
  rowCount: number
  rows: unknown[]
}

interface Call {
  resolve: (result: QueryResult) => void
  reject: (error: Error) => void
}

/** Code of the error when PGlite itself refused the files, as opposed to a worker that could not run. */
export const cannotOpen = 'cannot_open'

export class PgliteError extends Error {
  readonly code: string | null

  constructor(message: string, code: string | null) {
    super(message)
    this.name = 'PgliteError'
    this.code = code
  }
}

export class PglitePool implements PostgresPool {
  private readonly worker: Worker
  private readonly calls = new Map<number, Call>()
  private nextId = 0
  private turn: Promise<void> = Promise.resolve()
  private ended: Error | null = null

  private constructor(worker: Worker) {
    this.worker = worker
  }

  /** Opens the folder, creating the database the first time (seconds of CPU, in the worker). */
  static async open(dataDir: string): Promise<PglitePool> {
    const entry = pathToFileURL(childEntry(import.meta.url, './pglite-worker.ts'))
    const worker = new Worker(entry, { workerData: { dataDir }, stdout: true, stderr: true })
    worker.stdout.resume()
    worker.stderr.resume()
    worker.unref()
    const pool = new PglitePool(worker)
    await pool.opened()
    return pool
  }

  /** One connection: whoever has it keeps it until `release`, which is what makes transactions safe. */
  async connect(): Promise<PostgresPoolClient> {
    const before = this.turn
    let release = (): void => undefined
    this.turn = new Promise((resolve) => {
      release = resolve
    })
    await before
    const query = (sql: string, params: readonly unknown[]) => this.query(sql, params)
    return { query, release } as unknown as PostgresPoolClient
  }

  async end(): Promise<void> {
    if (this.ended) return
    const gone = new Promise<void>((resolve) => this.worker.once('exit', () => resolve()))
    this.worker.postMessage('close')
    const timer = setTimeout(() => this.worker.terminate(), 5_000)
    await gone
    clearTimeout(timer)
  }

  private query(sql: string, params: readonly unknown[]): Promise<QueryResult> {
    if (this.ended) return Promise.reject(this.ended)
    return new Promise((resolve, reject) => {
      const id = this.nextId++
      this.calls.set(id, { resolve, reject })
      const request: WorkerRequest = { id, sql, params: [...params] }
      this.worker.postMessage(request)
    })
  }

  private opened(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.worker.on('message', (reply: WorkerReply) => {
        if ('opened' in reply) {
          if (reply.opened) resolve()
          else reject(new PgliteError(reply.message, cannotOpen))
        } else this.settle(reply)
      })
      const stop = (error: Error) => {
        this.ended = error
        reject(error)
        for (const call of this.calls.values()) call.reject(error)
        this.calls.clear()
      }
      this.worker.on('error', stop)
      this.worker.on('exit', () => stop(new PgliteError('the embedded database has stopped', null)))
    })
  }

  private settle(reply: Exclude<WorkerReply, { opened: boolean }>): void {
    const call = this.calls.get(reply.id)
    this.calls.delete(reply.id)
    if ('error' in reply) call?.reject(new PgliteError(reply.error.message, reply.error.code))
    else call?.resolve({ command: reply.command as 'SELECT', rowCount: reply.affected, rows: reply.rows })
  }
}
