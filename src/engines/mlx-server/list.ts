import { askEngine, askJson, type EngineAddress } from '../attached/ask-engine.ts'
import { refuseHolon } from '../attached/engine-url.ts'
import { field, rows, text } from '../attached/read-json.ts'
import { type AttachedModel, unknownModel } from '../attached-engine.ts'

/** What it calls the model that it was started with, whatever that is. */
const itsOwn = 'default_model'

/**
 * GET /v1/models lists what lies in the Hugging Face cache and the `--model` it was started with, not what is loaded;
 * without a cache it breaks off (`scan_cache_dir` throws after the head was sent), which its health answer tells apart
 * from a server that is gone.
 */
export async function listMlx(
  engine: EngineAddress,
  named: readonly string[],
  signal: AbortSignal,
): Promise<AttachedModel[]> {
  const answer = await askEngine(engine, '/v1/models', { signal }).catch(() => null)
  signal.throwIfAborted()
  if (answer) refuseHolon(engine.url, answer)
  const listed = rows(field(answer?.json, 'data'))
  if (listed.length === 0) await askJson(engine, '/health', { signal })
  const found = listed.flatMap((row) => text(row.id) ?? [])
  const names = named.length > 0 ? named : found.length > 0 ? found : [itsOwn]
  return names.map((name) => ({ ...unknownModel(name), format: 'safetensors', embedding: false }))
}
