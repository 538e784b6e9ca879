import { askEngine, askJson, type EngineAddress } from '../attached/ask-engine.ts'
import { refuseHolon } from '../attached/engine-url.ts'
import { count, field, paramsOf, record, rows, text } from '../attached/read-json.ts'
import { type AttachedModel, unknownModel } from '../attached-engine.ts'

/** What /api/show says of one model, by digest: it does not change while the digest stays. */
export type Shown = Map<string, Pick<AttachedModel, 'contextMax' | 'paramsTotal' | 'embedding'>>

const mostShown = 1_000

/**
 * GET /api/tags for what is on its disk, /api/ps for what is in its memory, /api/show once for each model.
 * Models in Ollama's cloud (`remote_host`) are left out: a prompt sent to one would leave this machine.
 */
export async function listOllama(
  engine: EngineAddress,
  shown: Shown,
  signal: AbortSignal,
): Promise<AttachedModel[]> {
  // Only the hub's own list tells it from Ollama: Holon speaks this dialect too.
  const [front, tags, ps] = await Promise.all([
    askEngine(engine, '/v1/models', { signal }),
    askJson(engine, '/api/tags', { signal }),
    askJson(engine, '/api/ps', { signal }),
  ])
  refuseHolon(engine.url, front)
  const loaded = new Map(rows(field(ps, 'models')).map((row) => [text(row.model) ?? text(row.name), row]))
  const models: AttachedModel[] = []
  for (const row of rows(field(tags, 'models'))) {
    const name = text(row.model) ?? text(row.name)
    if (name === null || text(row.remote_host) !== null || text(row.remote_model) !== null) continue
    const more = await show(engine, name, text(row.digest) ?? name, shown, signal)
    const running = loaded.get(name)
    const { details } = row
    models.push({
      ...unknownModel(name),
      ...more,
      loaded: running !== undefined,
      sizeBytes: count(row.size),
      quant: text(field(details, 'quantization_level')),
      architecture: text(field(details, 'family')),
      paramsTotal: more.paramsTotal ?? paramsOf(field(details, 'parameter_size')),
      contextTokens: count(running?.context_length),
      memoryBytes: running === undefined ? null : count(running.size),
      format: text(field(details, 'format')) === 'gguf' ? 'gguf' : 'unknown',
    })
  }
  return models
}

async function show(
  engine: EngineAddress,
  model: string,
  digest: string,
  shown: Shown,
  signal: AbortSignal,
): Promise<Pick<AttachedModel, 'contextMax' | 'paramsTotal' | 'embedding'>> {
  const known = shown.get(digest)
  if (known) return known
  const { embedding } = unknownModel(model)
  // One broken model must not hide the others.
  const answer = await askEngine(engine, '/api/show', { body: { model }, signal }).catch(() => null)
  signal.throwIfAborted()
  if (answer?.status !== 200) return { contextMax: null, paramsTotal: null, embedding }
  const info = record(field(answer.json, 'model_info'))
  const context = Object.keys(info).find((key) => key.endsWith('.context_length'))
  const can = field(answer.json, 'capabilities')
  const told = {
    contextMax: context === undefined ? null : count(info[context]),
    paramsTotal: count(info['general.parameter_count']),
    embedding: Array.isArray(can) ? can.includes('embedding') && !can.includes('completion') : embedding,
  }
  if (shown.size >= mostShown) shown.clear()
  shown.set(digest, told)
  return told
}
