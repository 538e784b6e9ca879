/** llama-server without a model of its own ("router mode"): it starts one process per model, and says how far each is. */
import { type AttachOptions, detectBy, onlyNamed } from '../attached/attach-options.ts'
import type { AttachedEngine } from '../attached-engine.ts'
import { llamaServerParameters } from '../llama-server/parameters.ts'
import { askRouter, listRouter, type Seen } from './list.ts'
import { loadInRouter, unloadFromRouter } from './load.ts'

/** Its `--parallel` is 4 unless its owner set it; each loaded model tells its own. */
const usualParallel = 4

export function attachLlamaRouter(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'The llama-server router', url, headers }
  const seen: Seen = new Map()
  const engine: AttachedEngine = {
    id: 'llama-router',
    ...address,
    parameters: llamaServerParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 5_000,
    // "loaded" comes from the model's own process when it can answer, and goes when that process ends.
    saysWhatIsLoaded: true,
    detect: (signal) => detectBy(engine, signal, async () => (await askRouter(address, signal)).version),
    list: async (signal) => onlyNamed(await listRouter(address, seen, signal), models),
    load: (model, load) => loadInRouter(address, model, load),
    unload: (model, signal) => unloadFromRouter(address, model, signal),
    carry: (path, body) => ({ path, body, translation: null }),
  }
  return engine
}
