/** The one part of a pool on exo: an instance that is placed, proven, watched and deleted. */
import { asHolonError } from '../../core/errors.ts'
import type { AttachedEngine } from '../../engines/attached-engine.ts'
import { readState } from '../../engines/exo/list.ts'
import type { OpenPart, PartSpec } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { PartLife, within } from '../shared/part-life.ts'
import { serveHead } from '../shared/serve-head.ts'
import { exoOf } from './find-exo.ts'
import { liveNodes } from './inspect.ts'
import { exoSettings } from './layout.ts'
import { deleteFromExo, placeInExo, previewInstance, troubleOf, untilRunnersReady } from './place.ts'

const loadWithinMs = 30 * 60_000
/** DEFAULT_MAX_TOKENS is 32,168; nobody waits so long for an answer that is not streamed. */
const usualMaxTokens = 4_096
const lookEveryMs = 2_000

/** @throws HolonError engine_unavailable when exo does not answer */
export async function openExo(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart> {
  const settings = exoSettings.parse(spec.settings)
  const exo = exoOf(host)
  await exo.list(signal)
  const life = new PartLife(spec, host.log)
  return {
    listening: null,
    died: life.died,
    stop: () => life.stop(),
    start: (_, { signal: givenUp, onProgress }) =>
      life.starting(givenUp, async (either) => {
        onProgress?.({ phase: 'placing in exo', percent: null, etaS: null })
        const offered = await previewInstance(exo, spec.model, settings, either)
        const instance = { id: offered.id, model: spec.model }
        // Before it is made: a start that is given up in between must not leave it behind.
        await life.closes(() => deleteFromExo(exo, instance.id))
        await placeInExo(exo, spec.model, offered, either)
        const late = `exo did not have ${spec.model} ready after ${loadWithinMs / 60_000} minutes.`
        const ready = untilRunnersReady(exo, instance, either, onProgress)
        await within(ready, { ms: loadWithinMs, signal: either, late })
        onProgress?.({ phase: 'asking for one token', percent: null, etaS: null })
        const lease = await serveHead({
          life,
          id: 'exo',
          engine: exo,
          engineModel: spec.model,
          model: spec.model,
          parallel: exo.parallel,
          oneAtATime: false,
          usualMaxTokens,
          look: lookAt(exo, instance.id, life.over),
          lookEveryMs,
          provesLife,
          signal: either,
        })
        return { memoryBytes: null, lease }
      }),
  }
}

/** Its keep-alive comments come while it hangs; progress of a prompt and words do not. */
function provesLife(line: string): boolean {
  return line.startsWith('data:') || line.includes('prefill_progress')
}

function lookAt(exo: AttachedEngine, id: string, signal: AbortSignal): () => Promise<string | null> {
  let silent = 0
  return async () => {
    try {
      const [state, nodes] = await Promise.all([readState(exo, signal), liveNodes(exo, signal)])
      silent = 0
      return troubleOf(id, nodes, state)
    } catch (thrown) {
      silent += 1
      return silent < 2 ? null : asHolonError(thrown).message
    }
  }
}
