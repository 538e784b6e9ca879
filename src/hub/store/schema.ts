/** The tables, as Kysely sees them. One schema for PGlite and PostgreSQL. */
import type { ColumnType, Generated } from 'kysely'

export interface UsageTable {
  /** Made by the hub, unique for ever: loading a journal twice changes nothing. */
  id: string
  time: ColumnType<Date, Date | string, never>
  request_id: string
  endpoint: string
  model: string
  node: string
  engine: string
  status: number
  error: string | null
  stream: boolean
  prompt_tokens: number
  cached_tokens: number
  completion_tokens: number
  exact_tokens: boolean
  queue_ms: number
  ttft_ms: number | null
  duration_ms: number
  prefill_tok_s: number | null
  decode_tok_s: number | null
  retries: number
  key_id: Generated<string | null>
}

export interface EventsTable {
  id: string
  time: ColumnType<Date, Date | string, never>
  type: string
  data: ColumnType<unknown, string, never>
}

/** The list of offered models, and its mode as one more row. */
export interface CatalogueTable {
  /** `mode`, `model` (a canonical name) or `id` (an advertised id). */
  kind: string
  name: string
  position: number
}

export interface Schema {
  usage: UsageTable
  events: EventsTable
  catalogue: CatalogueTable
}
