import { asHolonError } from '../../core/errors.ts'
import type { EngineFound } from '../../protocol/machine.ts'
import type { AttachedEngine } from '../attached-engine.ts'

/** What every attached engine is made from. */
export interface AttachOptions {
  /** Checked and trimmed by `engineUrl`. */
  url: string
  headers: Readonly<Record<string, string>>
  /** Offer these alone; all when empty. */
  models: readonly string[]
  /** Answers at once; null takes the engine's usual. */
  parallel: number | null
}

/** Here when it lists its models: an open port alone says nothing. */
export async function detectBy(
  engine: AttachedEngine,
  signal: AbortSignal,
  version?: () => Promise<string | null>,
): Promise<EngineFound> {
  const nothing = {
    id: engine.id,
    version: null,
    path: null,
    url: engine.url,
    models: [],
    whyNot: null,
    hint: null,
  }
  try {
    const models = await engine.list(signal)
    const told = await version?.().catch(() => null)
    return { ...nothing, available: true, version: told ?? null, models: models.map((model) => model.name) }
  } catch (thrown) {
    const { message, hint } = asHolonError(thrown)
    return { ...nothing, available: false, whyNot: message, hint: hint ?? null }
  }
}

/** Only the named ones, when any are named. */
export function onlyNamed<Model extends { name: string }>(
  models: Model[],
  named: readonly string[],
): Model[] {
  return named.length === 0 ? models : models.filter((model) => named.includes(model.name))
}
