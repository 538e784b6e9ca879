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

/** Pins and lanes: the owner's word on where models run. */
export interface PlacementRulesTable {
  /** `to`, `away`, `background`, `model-lane`, `node-lane`. */
  kind: string
  /** A canonical name, an advertised id, or a node's id. */
  subject: string
  /** A node's id, or a lane. */
  object: string
  position: number
}

/** A node that was admitted once, with the hash of what it proves itself by. */
export interface NodesTable {
  id: string
  name: string
  credential_hash: string
  /** Sent to the node and not yet used by it; both are good until it is. */
  next_hash: string | null
  rotated_at: ColumnType<Date, Date | string, Date | string>
  admitted_by: string
  admitted_at: ColumnType<Date, Date | string, never>
  revoked_at: ColumnType<Date | null, Date | string | null, Date | string | null>
}

export interface JoinTokensTable {
  hash: string
  created_by: string
  created_at: ColumnType<Date, Date | string, never>
  expires_at: ColumnType<Date, Date | string, never>
  used_at: ColumnType<Date | null, null, Date | string>
  used_by: string | null
}

/** Who admitted, refused and revoked whom. Only ever appended to. */
export interface AdmissionsTable {
  id: string
  time: ColumnType<Date, Date | string, never>
  action: string
  node: string | null
  /** Who did it: how, and from which address. */
  actor: string
  detail: string
  key_id: Generated<string | null>
}

/** An API key, by the hash of its secret. `models`, `lanes` and `limits` are JSON. */
export interface KeysTable {
  id: string
  hash: string
  hint: string
  label: string
  models: ColumnType<unknown, string | null, never>
  lanes: ColumnType<unknown, string, never>
  admin: boolean
  limits: ColumnType<unknown, string, never>
  created_by: string
  created_at: ColumnType<Date, Date | string, never>
  expires_at: ColumnType<Date | null, Date | string | null, never>
  revoked_at: ColumnType<Date | null, Date | string | null, Date | string>
  revoked_by: string | null
}

/** How often a subject changed, for hubs that share the database. */
export interface RevisionsTable {
  subject: string
  revision: number
}

/** What the owner wants of each pool, as JSON. */
export interface PoolsTable {
  name: string
  wish: ColumnType<unknown, string, string>
  created_at: ColumnType<Date, Date | string, never>
}

export interface Schema {
  nodes: NodesTable
  join_tokens: JoinTokensTable
  admissions: AdmissionsTable
  api_keys: KeysTable
  revisions: RevisionsTable
  usage: UsageTable
  events: EventsTable
  catalogue: CatalogueTable
  placement_rules: PlacementRulesTable
  pools: PoolsTable
}
