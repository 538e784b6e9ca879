/** Journal lines to rows and rows to answers: the queries of the store. */
import { type Insertable, type Kysely, sql, type Transaction } from 'kysely'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import type { EventsTable, Schema, UsageTable } from './schema.ts'

export type JournalLine =
  | { kind: 'usage'; id: string; row: AnswerRecord }
  | { kind: 'event'; id: string; row: EventRecord }

export interface EventRecord {
  /** Milliseconds since the epoch. */
  time: number
  /** For example `hub.started`, `model.ready`, `model.failed`. */
  type: string
  data: Record<string, unknown>
}

/** The lines of a journal file. A torn line, as a kill leaves one, is skipped. */
export function parseLines(text: string): { lines: JournalLine[]; torn: number } {
  const lines: JournalLine[] = []
  let torn = 0
  for (const line of text.split('\n')) {
    if (line === '') continue
    try {
      const parsed = JSON.parse(line) as JournalLine
      if ((parsed.kind === 'usage' || parsed.kind === 'event') && typeof parsed.id === 'string')
        lines.push(parsed)
      else torn++
    } catch {
      torn++
    }
  }
  return { lines, torn }
}

/** Inserts what is not there yet, in one transaction. */
export async function insertLines(db: Kysely<Schema>, lines: readonly JournalLine[]): Promise<void> {
  const usage = lines.filter((line) => line.kind === 'usage').map(toUsageRow)
  const events = lines.filter((line) => line.kind === 'event').map(toEventRow)
  await db.transaction().execute(async (transaction) => {
    if (usage.length > 0) await insertUsage(transaction, usage)
    if (events.length > 0) {
      await transaction
        .insertInto('events')
        .values(events)
        .onConflict((conflict) => conflict.column('id').doNothing())
        .execute()
    }
  })
}

/**
 * All rows as one parameter, unpacked by the database: as twenty parameters each, compiling and binding them cost more
 * than the insertion.
 */
async function insertUsage(db: Transaction<Schema>, rows: readonly Insertable<UsageTable>[]): Promise<void> {
  const columns = sql.join(Object.keys(rows[0]!).map((name) => sql.ref(name)))
  await sql`
    insert into usage (${columns})
    select ${columns} from jsonb_populate_recordset(null::usage, ${JSON.stringify(rows)}::jsonb)
    on conflict (id) do nothing`.execute(db)
}

function toUsageRow({ id, row }: { id: string; row: AnswerRecord }): Insertable<UsageTable> {
  return {
    id,
    time: new Date(row.time),
    request_id: row.requestId,
    endpoint: row.endpoint,
    model: row.model,
    node: row.node,
    engine: row.engine,
    status: row.status,
    error: row.error,
    stream: row.stream,
    prompt_tokens: row.promptTokens,
    cached_tokens: row.cachedTokens,
    completion_tokens: row.completionTokens,
    exact_tokens: row.exactTokens,
    queue_ms: row.queueMs,
    ttft_ms: row.ttftMs,
    duration_ms: row.durationMs,
    prefill_tok_s: row.prefillTokS,
    decode_tok_s: row.decodeTokS,
    retries: row.retries,
    // Lines of a journal from before there were keys have none.
    key_id: row.keyId ?? null,
  }
}

function toEventRow({ id, row }: { id: string; row: EventRecord }): Insertable<EventsTable> {
  return { id, time: new Date(row.time), type: row.type, data: JSON.stringify(row.data) }
}

export interface UsageSummary {
  model: string
  requests: number
  promptTokens: number
  completionTokens: number
  errors: number
}

/** Requests and tokens per model, most used first. A request whose client left is no error. */
export async function usageByModel(db: Kysely<Schema>): Promise<UsageSummary[]> {
  const rows = await db
    .selectFrom('usage')
    .select(({ fn }) => [
      'model',
      fn.countAll<string>().as('requests'),
      fn.sum<string>('prompt_tokens').as('promptTokens'),
      fn.sum<string>('completion_tokens').as('completionTokens'),
      fn
        .count<string>('id')
        .filterWhere((where) => where.and([where('status', '>=', 400), where('status', '!=', 499)]))
        .as('errors'),
    ])
    .groupBy('model')
    .orderBy('requests', 'desc')
    .execute()
  return rows.map((row) => ({
    model: row.model,
    requests: Number(row.requests),
    promptTokens: Number(row.promptTokens),
    completionTokens: Number(row.completionTokens),
    errors: Number(row.errors),
  }))
}

/** The newest events first. */
export async function latestEvents(db: Kysely<Schema>, limit: number): Promise<EventRecord[]> {
  const rows = await db
    .selectFrom('events')
    .select(['time', 'type', 'data'])
    .orderBy('time', 'desc')
    .orderBy('id', 'desc')
    .limit(limit)
    .execute()
  return rows.map((row) => ({
    time: new Date(row.time).getTime(),
    type: row.type,
    data: row.data as EventRecord['data'],
  }))
}
