/** mlx_lm.server: holds one model, reads it at the first request for it, and says nothing of memory or time. */
import { type AttachOptions, detectBy } from '../attached/attach-options.ts'
import type { AttachedEngine, Carried } from '../attached-engine.ts'
import { listMlx } from './list.ts'
import { mlxParameters } from './parameters.ts'

/** Its `--decode-concurrency` is 32 and its `--prompt-concurrency` 8 unless told otherwise. */
const usualParallel = 8

export function attachMlx(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'mlx_lm.server', url, headers }
  const engine: AttachedEngine = {
    id: 'mlx',
    ...address,
    parameters: mlxParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 10_000,
    // Its health page says ok whatever happens to the model.
    saysWhatIsLoaded: false,
    detect: (signal) => detectBy(engine, signal),
    list: (signal) => listMlx(address, models, signal),
    carry,
  }
  return engine
}

/** Two parameters have other names there. */
function carry(path: string, body: Record<string, unknown>): Carried {
  const { repeat_penalty, repeat_last_n, ...rest } = body
  const renamed = {
    ...rest,
    ...(repeat_penalty == null ? {} : { repetition_penalty: repeat_penalty }),
    ...(repeat_last_n == null ? {} : { repetition_context_size: repeat_last_n }),
  }
  return { path, body: renamed, translation: null }
}
