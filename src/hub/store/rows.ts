/** Journal lines to rows and rows to answers: the queries of the store. */
import { type Kysely, sql, type Transaction } from 'kysely'
import type { AnswerRecord } from '../gateway/answer-record.ts'
import type { Schema } from './schema.ts'

export interface EventRecord {
  /** Milliseconds since the epoch. */
  time: number
  /** For example `hub.started`, `model.ready`, `model.failed`. */
  type: string
  data: Record<string, unknown>
}

const usageMark = '{"usage":"'
const eventMark = '{"event":"'

/**
 * A journal's line: the record with its id in front, as the database reads it. Nobody else does: loading a line costs
 * this process no parsing.
 */
export const usageLine = (id: string, row: AnswerRecord): string => line(usageMark, id, row)
export const eventLine = (id: string, row: EventRecord): string => line(eventMark, id, row)

function line(mark: string, id: string, row: object): string {
  return `${mark}${id}",${JSON.stringify(row).slice(1)}`
}

/**
 * The lines of a journal file. A torn line, as a kill leaves one, is skipped here, or refused by the database where it
 * ends in a brace by chance.
 */
export function wholeLines(text: string): { lines: string[]; torn: number } {
  const lines: string[] = []
  let torn = 0
  for (const line of text.split('\n')) {
    if (line === '') continue
    const whole = line.startsWith(earlierMark) ? fromEarlier(line) : line
    const isKnown = whole.startsWith(usageMark) || whole.startsWith(eventMark)
    if (isKnown && whole.endsWith('}')) lines.push(whole)
    else torn++
  }
  return { lines, torn }
}

/** The id in a line, for logs that say nothing else of it. */
export const idOf = (line: string): string =>
  line.slice(usageMark.length, line.indexOf('"', usageMark.length))

const earlierMark = '{"kind":"'

/** A line of a journal as it was first written, the record beside its id; empty when it is torn. */
function fromEarlier(line: string): string {
  try {
    const { kind, id, row } = JSON.parse(line)
    return kind === 'usage' ? usageLine(id, row) : eventLine(id, row)
  } catch {
    return ''
  }
}

/** Inserts what is not there yet, in one transaction. */
export async function insertLines(db: Kysely<Schema>, lines: readonly string[]): Promise<void> {
  const usage = lines.filter((line) => line.startsWith(usageMark))
  const events = lines.filter((line) => line.startsWith(eventMark))
  await db.transaction().execute(async (transaction) => {
    if (usage.length > 0) await insertUsage(transaction, usage)
    if (events.length > 0) await insertEvents(transaction, events)
  })
}

/**
 * All rows as one parameter, unpacked by the database: as twenty parameters each, compiling and binding them cost more
 * than the insertion. As `jsonb` they would be built up once more before they are taken apart.
 */
async function insertUsage(db: Transaction<Schema>, lines: readonly string[]): Promise<void> {
  await sql`
    insert into usage (
      id, time, request_id, endpoint, model, node, engine, status, error, stream, prompt_tokens, cached_tokens,
      completion_tokens, exact_tokens, queue_ms, ttft_ms, duration_ms, prefill_tok_s, decode_tok_s, retries, key_id)
    select
      usage, to_timestamp(time / 1000), "requestId", endpoint, model, node, engine, status, error, stream,
      "promptTokens", "cachedTokens", "completionTokens", "exactTokens", "queueMs", "ttftMs", "durationMs",
      "prefillTokS", "decodeTokS", retries, "keyId"
    from json_to_recordset(${arrayOf(lines)}::json) as line (
      usage text, time float8, "requestId" text, endpoint text, model text, node text, engine text, status integer,
      error text, stream boolean, "promptTokens" integer, "cachedTokens" integer, "completionTokens" integer,
      "exactTokens" boolean, "queueMs" real, "ttftMs" real, "durationMs" real, "prefillTokS" real,
      "decodeTokS" real, retries integer, "keyId" text)
    on conflict (id) do nothing`.execute(db)
}

async function insertEvents(db: Transaction<Schema>, lines: readonly string[]): Promise<void> {
  await sql`
    insert into events (id, time, type, data)
    select event, to_timestamp(time / 1000), type, data
    from json_to_recordset(${arrayOf(lines)}::json) as line (event text, time float8, type text, data jsonb)
    on conflict (id) do nothing`.execute(db)
}

const arrayOf = (lines: readonly string[]): string => `[${lines.join(',')}]`

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
