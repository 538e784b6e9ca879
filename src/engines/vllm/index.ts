/** vLLM: serves what it was started with for as long as it runs, batches by itself, tells no times. */
import { askJson } from '../attached/ask-engine.ts'
import { type AttachOptions, detectBy } from '../attached/attach-options.ts'
import { field, text } from '../attached/read-json.ts'
import type { AttachedEngine, Carried } from '../attached-engine.ts'
import { listVllm } from './list.ts'
import { vllmParameters } from './parameters.ts'

/** Its `--max-num-seqs` is 256 or more; beyond this the page of a small hub gains nothing. */
const usualParallel = 64

export function attachVllm(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'vLLM', url, headers }
  const engine: AttachedEngine = {
    id: 'vllm',
    ...address,
    parameters: vllmParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 5_000,
    // /health stayed 200 with a dead core in several versions: one token tells.
    saysWhatIsLoaded: false,
    detect: (signal) =>
      detectBy(engine, signal, async () =>
        text(field(await askJson(address, '/version', { signal }), 'version')),
      ),
    list: (signal) => listVllm(address, models, signal),
    carry,
  }
  return engine
}

function carry(path: string, body: Record<string, unknown>): Carried {
  const { repeat_penalty, ...rest } = body
  const renamed = repeat_penalty == null ? rest : { ...rest, repetition_penalty: repeat_penalty }
  return { path, body: renamed, translation: null }
}
