import { HolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress, refusedBy } from '../attached/ask-engine.ts'
import { refuseHolon } from '../attached/engine-url.ts'
import { count, field, rows, text } from '../attached/read-json.ts'
import { type AttachedModel, unknownModel } from '../attached-engine.ts'

/**
 * GET /v1/models, with what llama-server (`meta`), vLLM (`max_model_len`) and routers (`status`) add to it.
 * @param named the models to offer; all that are listed when empty. A named one that is not listed is offered all the
 * same: some servers list nothing, or other names than they answer to.
 */
export async function listOpenAi(
  engine: EngineAddress,
  named: readonly string[],
  signal: AbortSignal,
): Promise<AttachedModel[]> {
  const answer = await askEngine(engine, '/v1/models', { signal })
  refuseHolon(engine.url, answer)
  const listed = rows(field(answer.json, 'data'))
  if (answer.status === 200 && listed.length + named.length > 0) {
    const models = listed.flatMap((row) => fromRow(row))
    if (named.length === 0) return models
    return named.map((name) => models.find((model) => model.name === name) ?? unknownModel(name))
  }
  // A server without this list can still answer for models that were named.
  if (named.length > 0 && [404, 405].includes(answer.status)) return named.map(unknownModel)
  if (answer.status === 200 && Array.isArray(field(answer.json, 'data'))) return []
  if (answer.status === 503) {
    throw new HolonError('engine_unavailable', `${engine.title} at ${engine.url} is still loading.`, {
      source: 'engine',
      hint: 'Try again in a moment.',
    })
  }
  throw refusedBy(engine, '/v1/models', answer)
}

/** Router servers say which of their models is loaded; others serve what they list. */
function fromRow(row: Record<string, unknown>): AttachedModel[] {
  const name = text(row.id)
  if (name === null) return []
  const status = text(field(row.status, 'value'))
  return [
    {
      ...unknownModel(name),
      loaded: status === null ? null : status === 'loaded',
      sizeBytes: count(field(row.meta, 'size')),
      paramsTotal: count(field(row.meta, 'n_params')),
      contextMax:
        count(field(row.meta, 'n_ctx_train')) ?? count(row.max_model_len) ?? count(row.context_length),
      contextTokens: count(row.max_model_len),
    },
  ]
}
