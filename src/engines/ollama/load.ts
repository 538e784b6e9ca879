import { HolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress, toldBy } from '../attached/ask-engine.ts'
import { record } from '../attached/read-json.ts'
import type { AttachedLoad, AttachedModel } from '../attached-engine.ts'

/** Ollama itself gives a load up after five minutes (OLLAMA_LOAD_TIMEOUT); its owner may have raised that. */
const longestMs = 30 * 60_000

/** An empty request loads; how long it stays is the owner's OLLAMA_KEEP_ALIVE, which nothing here overrides. */
export async function loadInOllama(
  engine: EngineAddress,
  model: AttachedModel,
  { contextTokens, signal }: AttachedLoad,
): Promise<void> {
  if (contextTokens !== null) {
    throw new HolonError('usage', 'Ollama takes the length of the context from OLLAMA_CONTEXT_LENGTH.', {
      hint: 'Set it where Ollama is started; a request for another length would load the model anew.',
    })
  }
  const [path, body] = model.embedding ? ['/api/embed', { input: [] }] : ['/api/generate', {}]
  const answer = await askEngine(engine, path as string, {
    body: { model: model.name, stream: false, ...record(body) },
    signal,
    withinMs: longestMs,
  })
  if (answer.status === 200) return
  const told = toldBy(answer.json) ?? `status ${answer.status}`
  const code = /memory/i.test(told) ? 'model_too_big' : 'model_load_failed'
  throw new HolonError(code, `Ollama could not load ${model.name}: ${told}`, { source: 'engine' })
}

export async function unloadFromOllama(
  engine: EngineAddress,
  model: AttachedModel,
  signal: AbortSignal,
): Promise<void> {
  const body = { model: model.name, keep_alive: 0, stream: false }
  const answer = await askEngine(engine, '/api/generate', { body, signal, withinMs: 30_000 })
  if (answer.status === 200) return
  const told = toldBy(answer.json) ?? `status ${answer.status}`
  throw new HolonError('engine_failed', `Ollama could not unload ${model.name}: ${told}`, {
    source: 'engine',
  })
}
