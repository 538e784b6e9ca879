/** The one part of a cluster that is already there: nothing is started, a token proves it, and a watch follows it. */
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { OpenPart, PartSpec } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { PartLife } from '../shared/part-life.ts'
import { serveHead } from '../shared/serve-head.ts'
import { findAttached } from './inspect.ts'

const listWithinMs = 10_000
/** Longer than most answers without a number of their own. */
const usualMaxTokens = 2_048

/** @throws HolonError model_not_found, engine_unavailable */
export async function openAttached(spec: PartSpec, host: MemberHost, signal: AbortSignal): Promise<OpenPart> {
  const hit = await findAttached(host, spec.model)
  if (hit === null) {
    throw new HolonError('model_not_found', `No server attached to this machine offers ${spec.model}.`)
  }
  signal.throwIfAborted()
  const { engine, model } = hit
  const life = new PartLife(spec, host.log)
  return {
    listening: null,
    died: life.died,
    stop: () => life.stop(),
    start: (_, options) =>
      life.starting(options.signal, async (either) => {
        options.onProgress?.({ phase: 'asking for one token', percent: null, etaS: null })
        const parallel = model.parallel ?? engine.parallel
        const lease = await serveHead({
          life,
          id: 'attached',
          engine,
          engineModel: model.name,
          model: spec.model,
          parallel,
          oneAtATime: parallel === 1,
          usualMaxTokens,
          look: twice(async () => {
            await engine.list(AbortSignal.any([life.over, AbortSignal.timeout(listWithinMs)]))
          }),
          lookEveryMs: Math.min(engine.lookEveryMs, 5_000),
          signal: either,
        })
        return { memoryBytes: null, lease }
      }),
  }
}

/** One failed look is not believed: such servers are busy, and restart. */
function twice(look: () => Promise<void>): () => Promise<string | null> {
  let failed = 0
  return async () => {
    try {
      await look()
      failed = 0
      return null
    } catch (thrown) {
      failed += 1
      return failed < 2 ? null : asHolonError(thrown).message
    }
  }
}
