/** LM Studio: loads with a context length, unloads by instance, tells how many answers it gives at once. */
import { HolonError } from '../../core/errors.ts'
import { type AttachOptions, detectBy, onlyNamed } from '../attached/attach-options.ts'
import type { AttachedEngine, Carried } from '../attached-engine.ts'
import { lmStudioAnswer } from './answer.ts'
import { type Listed, listLmStudio } from './list.ts'
import { loadInLmStudio, unloadFromLmStudio } from './load.ts'
import { lmStudioParameters } from './parameters.ts'

/** Versions before 0.4 answer one at a time; later ones say how many. */
const usualParallel = 1

export function attachLmStudio(options: AttachOptions): AttachedEngine {
  const { url, headers, models } = options
  const address = { title: 'LM Studio', url, headers }
  let latest: Listed | null = null
  const engine: AttachedEngine = {
    id: 'lm-studio',
    ...address,
    parameters: lmStudioParameters,
    parallel: options.parallel ?? usualParallel,
    lookEveryMs: 5_000,
    saysWhatIsLoaded: true,
    detect: (signal) => detectBy(engine, signal),
    list: async (signal) => {
      latest = await listLmStudio(address, signal)
      return onlyNamed(latest.models, models)
    },
    load: async (model, load) => {
      if (latest?.api === 'v1') return loadInLmStudio(address, model, load)
      // Older ones load at the first request, by their own settings.
      if (load.contextTokens !== null) throw tooOld('be told a context length')
    },
    unload: async (model, signal) => {
      if (latest?.api !== 'v1') throw tooOld('unload a model when asked')
      await unloadFromLmStudio(address, model, latest.instances.get(model.name) ?? [], signal)
    },
    carry,
  }
  return engine
}

/** Its own v0 chat measures; tools and schemas are documented for the OpenAI door only, which does not. */
function carry(path: string, body: Record<string, unknown>): Carried {
  const plain = body.tools == null && body.response_format == null
  if (path !== '/v1/chat/completions' || !plain) return { path, body, translation: null }
  return { path: '/api/v0/chat/completions', body, translation: lmStudioAnswer() }
}

function tooOld(what: string): HolonError {
  return new HolonError('usage', `LM Studio before 0.4 cannot ${what}.`, {
    hint: 'Update LM Studio, or do it in its window.',
  })
}
