import { HolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress } from '../attached/ask-engine.ts'
import type { AttachedModel } from '../attached-engine.ts'
import { listOpenAi } from '../openai/list.ts'

/** GET /v1/models, LoRA adapters among them; only while /health does not say that the engine behind it is dead. */
export async function listVllm(
  engine: EngineAddress,
  named: readonly string[],
  signal: AbortSignal,
): Promise<AttachedModel[]> {
  const [models, health] = await Promise.all([
    listOpenAi(engine, named, signal),
    askEngine(engine, '/health', { signal }),
  ])
  if (health.status < 500) return models.map((model) => ({ ...model, format: 'safetensors' as const }))
  throw new HolonError(
    'engine_unavailable',
    `vLLM at ${engine.url} says that its engine is dead (status ${health.status} at /health).`,
    { source: 'engine', hint: 'Start all of its processes again.' },
  )
}
