/**
 * PGlite in a thread of its own: it is PostgreSQL compiled to WebAssembly and runs each statement synchronously, which
 * on the main thread would stop every stream for its time (seconds while it starts).
 */
import { existsSync, readlinkSync, renameSync, rmSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'
import { parentPort, workerData } from 'node:worker_threads'
import { PGlite } from '@electric-sql/pglite'

export interface WorkerRequest {
  id: number
  sql: string
  params: unknown[]
}
export type WorkerReply =
  | { id: number; rows: unknown[]; affected: number; command: string }
  | { id: number; error: { message: string; code: string | null } }
  | { opened: true }
  | { opened: false; message: string }

const port = parentPort
if (!port) throw new Error('pglite-worker runs as a worker thread')
const { dataDir } = workerData as { dataDir: string }

function failure(error: unknown): { message: string; code: string | null } {
  const code = (error as { code?: unknown }).code
  return {
    message: error instanceof Error ? error.message : String(error),
    code: typeof code === 'string' ? code : null,
  }
}

/**
 * Requests cannot wait and the books can: on a machine that is busy they are loaded with a tenth of a request's weight.
 * Only Linux gives each thread a priority of its own.
 */
function yieldToRequests(): void {
  if (process.platform !== 'linux') return
  try {
    setPriority(Number(basename(readlinkSync('/proc/thread-self'))), 10)
  } catch {
    // No /proc, or not allowed: it works as well, with more noise.
  }
}

/**
 * A new database is made beside its place and moved there when it is whole: a process killed while making it would
 * otherwise leave a folder that looks like a database and never opens.
 */
async function makeDatabase(): Promise<void> {
  if (existsSync(dataDir)) return
  const making = `${dataDir}.making`
  rmSync(making, { recursive: true, force: true })
  const db = await PGlite.create({ dataDir: making })
  await db.close()
  renameSync(making, dataDir)
}

yieldToRequests()
try {
  await makeDatabase()
  const db = await PGlite.create({ dataDir })
  port.on('message', async (request: WorkerRequest | 'close') => {
    if (request === 'close') {
      await db.close().catch(() => undefined)
      port.close()
      return
    }
    try {
      const result = await db.query(request.sql, request.params)
      const command = request.sql.trimStart().split(/\s/, 1)[0]?.toUpperCase() ?? ''
      port.postMessage({ id: request.id, rows: result.rows, affected: result.affectedRows ?? 0, command })
    } catch (error) {
      port.postMessage({ id: request.id, error: failure(error) })
    }
  })
  port.postMessage({ opened: true })
} catch (error) {
  port.postMessage({ opened: false, message: failure(error).message })
}
