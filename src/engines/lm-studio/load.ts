import { HolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress, toldBy } from '../attached/ask-engine.ts'
import type { AttachedLoad, AttachedModel } from '../attached-engine.ts'

const longestMs = 30 * 60_000

/** POST /api/v1/models/load; it answers when the model is there. */
export async function loadInLmStudio(
  engine: EngineAddress,
  model: AttachedModel,
  { contextTokens, signal }: AttachedLoad,
): Promise<void> {
  const body = {
    model: model.name,
    ...(contextTokens === null ? {} : { context_length: contextTokens }),
  }
  const answer = await askEngine(engine, '/api/v1/models/load', { body, signal, withinMs: longestMs })
  if (answer.status === 200) return
  const told = toldBy(answer.json) ?? `status ${answer.status}`
  const code = /memory|resources|guardrail/i.test(told) ? 'model_too_big' : 'model_load_failed'
  throw new HolonError(code, `LM Studio could not load ${model.name}: ${told}`, { source: 'engine' })
}

export async function unloadFromLmStudio(
  engine: EngineAddress,
  model: AttachedModel,
  instances: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  for (const instance_id of instances) {
    const answer = await askEngine(engine, '/api/v1/models/unload', {
      body: { instance_id },
      signal,
      withinMs: 30_000,
    })
    if (answer.status === 200) continue
    const told = toldBy(answer.json) ?? `status ${answer.status}`
    throw new HolonError('engine_failed', `LM Studio could not unload ${model.name}: ${told}`, {
      source: 'engine',
    })
  }
}
