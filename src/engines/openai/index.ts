/** Any server that speaks OpenAI's dialect: Ray Serve, GPUStack, SGLang, LocalAI, a llama-server of one's own. */

import { type AttachOptions, detectBy } from '../attached/attach-options.ts'
import type { AttachedEngine } from '../attached-engine.ts'
import { listOpenAi } from './list.ts'
import { openAiParameters } from './parameters.ts'

/** Such servers batch; how much they do not say. */
const usualParallel = 8

export function attachOpenAi(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'The OpenAI server', url, headers }
  const engine: AttachedEngine = {
    id: 'openai',
    ...address,
    parameters: openAiParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 15_000,
    saysWhatIsLoaded: false,
    detect: (signal) => detectBy(engine, signal),
    list: (signal) => listOpenAi(address, models, signal),
    carry: (path, body) => ({ path, body, translation: null }),
  }
  return engine
}
