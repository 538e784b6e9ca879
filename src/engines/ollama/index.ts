/** Ollama: loads and unloads when asked, tells memory per model, measures in nanoseconds. */
import { askJson } from '../attached/ask-engine.ts'
import { type AttachOptions, detectBy, onlyNamed } from '../attached/attach-options.ts'
import { field, text } from '../attached/read-json.ts'
import type { AttachedEngine } from '../attached-engine.ts'
import { ollamaAnswer } from './answer.ts'
import { listOllama, type Shown } from './list.ts'
import { loadInOllama, unloadFromOllama } from './load.ts'
import { ollamaParameters } from './parameters.ts'
import { ollamaQuestion } from './question.ts'

/** OLLAMA_NUM_PARALLEL is 1 unless its owner set it, and it tells nobody: more would wait there, unseen. */
const usualParallel = 1

export function attachOllama(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'Ollama', url, headers }
  const shown: Shown = new Map()
  const version = async (signal: AbortSignal): Promise<string | null> =>
    text(field(await askJson(address, '/api/version', { signal }), 'version'))
  const engine: AttachedEngine = {
    id: 'ollama',
    ...address,
    parameters: ollamaParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 5_000,
    saysWhatIsLoaded: true,
    detect: (signal) => detectBy(engine, signal, () => version(signal)),
    list: async (signal) => onlyNamed(await listOllama(address, shown, signal), models),
    load: (model, load) => loadInOllama(address, model, load),
    unload: (model, signal) => unloadFromOllama(address, model, signal),
    carry: (path, body) =>
      path === '/v1/chat/completions'
        ? { path: '/api/chat', body: ollamaQuestion(body), translation: ollamaAnswer(body) }
        : { path, body, translation: null },
  }
  return engine
}
