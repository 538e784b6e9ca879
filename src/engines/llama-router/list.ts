import { HolonError } from '../../core/errors.ts'
import { askEngine, askJson, type EngineAddress, refusedBy } from '../attached/ask-engine.ts'
import { refuseHolon } from '../attached/engine-url.ts'
import { count, field, rows, text } from '../attached/read-json.ts'
import { type AttachedModel, unknownModel } from '../attached-engine.ts'

/**
 * What a loaded model said of itself, by name. Size and context of the weights stay true after it has gone; what it was
 * allotted is asked anew for every process of it, which is known by its port.
 */
export type Seen = Map<string, Weights & { process: string | null; allotted: Allotted }>
type Weights = Pick<AttachedModel, 'sizeBytes' | 'paramsTotal' | 'contextMax' | 'quant'>
type Allotted = Pick<AttachedModel, 'contextTokens' | 'parallel'>

const nothing: Weights & Allotted = {
  sizeBytes: null,
  paramsTotal: null,
  contextMax: null,
  quant: null,
  contextTokens: null,
  parallel: null,
}

export interface Router {
  version: string | null
  /** Models it holds at once; null without a limit. */
  most: number | null
}

/** @throws HolonError config_invalid when it is a llama-server with a model of its own, engine_unavailable */
export async function askRouter(engine: EngineAddress, signal: AbortSignal): Promise<Router> {
  const props = await askJson(engine, '/props', { signal })
  if (text(field(props, 'role')) === 'router') {
    return { version: text(field(props, 'build_info')), most: count(field(props, 'max_instances')) }
  }
  throw new HolonError('config_invalid', `The server at ${engine.url} is no llama-server in router mode.`, {
    hint: 'Start llama-server without -m, or attach one that serves a single model with HOLON_ENGINE=openai.',
  })
}

/** How a model stands with the router, in its own words. */
export interface RouterRow {
  name: string
  status: string
  exitCode: number | null
  args: readonly string[]
  meta: unknown
}

/** GET /models. @throws HolonError engine_unavailable, config_invalid */
export async function rowsOf(engine: EngineAddress, signal: AbortSignal): Promise<RouterRow[]> {
  const answer = await askEngine(engine, '/models', { signal })
  refuseHolon(engine.url, answer)
  if (answer.status !== 200) throw refusedBy(engine, '/models', answer)
  return rows(field(answer.json, 'data')).flatMap((row): RouterRow[] => {
    const name = text(row.id)
    const status = text(field(row.status, 'value'))
    if (name === null || status === null) return []
    const args = field(row.status, 'args')
    const exitCode = field(row.status, 'exit_code')
    return [
      {
        name,
        status,
        exitCode: typeof exitCode === 'number' ? exitCode : null,
        args: Array.isArray(args) ? args.map(String) : [],
        meta: row.meta,
      },
    ]
  })
}

/** Its models, without those that are still being downloaded. */
export async function listRouter(
  engine: EngineAddress,
  seen: Seen,
  signal: AbortSignal,
): Promise<AttachedModel[]> {
  await askRouter(engine, signal)
  const listed = await rowsOf(engine, signal)
  const models: AttachedModel[] = []
  for (const row of listed) {
    if (row.status === 'downloading') continue
    const loaded = row.status === 'loaded'
    const known = loaded ? await learn(engine, row, seen, signal) : seen.get(row.name)
    const { sizeBytes, paramsTotal, contextMax, quant } = known ?? nothing
    models.push({
      ...unknownModel(row.name),
      ...{ sizeBytes, paramsTotal, contextMax, quant: quant ?? quantIn(row.name) },
      ...(loaded && known ? known.allotted : {}),
      // A sleeping one has given its memory back; a request wakes it, which takes as long as a load.
      loaded,
      // It tells the weights alone; its cache comes on top.
      memoryBytes: loaded ? sizeBytes : null,
      embedding: row.args.includes('--embeddings') || row.args.includes('--embedding'),
      format: 'gguf',
    })
  }
  return models
}

async function learn(engine: EngineAddress, row: RouterRow, seen: Seen, signal: AbortSignal) {
  const process = after(row.args, '--port')
  const before = seen.get(row.name)
  if (before !== undefined && before.process === process) return before
  // One broken model must not hide the others.
  const path = `/props?model=${encodeURIComponent(row.name)}`
  const props = await askEngine(engine, path, { signal }).catch(() => null)
  signal.throwIfAborted()
  const now = {
    process,
    sizeBytes: count(field(row.meta, 'size')),
    paramsTotal: count(field(row.meta, 'n_params')),
    contextMax: count(field(row.meta, 'n_ctx_train')),
    quant: text(field(row.meta, 'ftype')),
    allotted: {
      contextTokens: count(field(props?.json, 'default_generation_settings', 'n_ctx')),
      parallel: count(field(props?.json, 'total_slots')),
    },
  }
  seen.set(row.name, now)
  return now
}

function after(args: readonly string[], flag: string): string | null {
  const at = args.indexOf(flag)
  return at === -1 ? null : (args[at + 1] ?? null)
}

/** Models of Hugging Face are called `org/name-GGUF:Q4_K_M`. */
function quantIn(name: string): string | null {
  return /:((?:I?Q\d|BF16|F16|F32|MXFP4)[\w]*)$/i.exec(name)?.[1] ?? null
}
