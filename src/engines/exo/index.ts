/** exo: one address for several Macs. It places models when asked and never by itself; it has chat and nothing else. */
import { HolonError } from '../../core/errors.ts'
import { type AttachOptions, detectBy, onlyNamed } from '../attached/attach-options.ts'
import type { AttachedEngine, Carried } from '../attached-engine.ts'
import { exoAnswer } from './answer.ts'
import { listExo } from './list.ts'
import { loadInExo, unloadFromExo } from './load.ts'
import { exoParameters } from './parameters.ts'

/** EXO_MAX_CONCURRENT_REQUESTS is 8 unless told otherwise. */
const usualParallel = 8

export function attachExo(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'exo', url, headers }
  const engine: AttachedEngine = {
    id: 'exo',
    ...address,
    parameters: exoParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 5_000,
    // Ready runners may hang all the same (no watchdog on decode): one token tells.
    saysWhatIsLoaded: false,
    detect: (signal) => detectBy(engine, signal),
    list: async (signal) => onlyNamed(await listExo(address, signal), models),
    load: (model, load) => loadInExo(address, model, load),
    unload: (model, signal) => unloadFromExo(address, model, signal),
    carry,
  }
  return engine
}

/** It drops `max_completion_tokens` in silence and writes 32,168 tokens then. */
function carry(path: string, body: Record<string, unknown>): Carried {
  if (path !== '/v1/chat/completions') {
    throw new HolonError('invalid_parameter', 'exo has chat completions only.', { param: 'model' })
  }
  const { max_completion_tokens, repeat_penalty, repeat_last_n, ...rest } = body
  const renamed = {
    ...rest,
    ...(max_completion_tokens == null ? {} : { max_tokens: max_completion_tokens }),
    ...(repeat_penalty == null ? {} : { repetition_penalty: repeat_penalty }),
    ...(repeat_last_n == null ? {} : { repetition_context_size: repeat_last_n }),
  }
  return { path, body: renamed, translation: exoAnswer() }
}
