/** The attached server that offers a model, as its node sees it. Its memory is what the owner declared for the node. */
import { asHolonError } from '../../core/errors.ts'
import type { AttachedEngine, AttachedModel } from '../../engines/attached-engine.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'

const listWithinMs = 10_000

export interface AttachedHit {
  engine: AttachedEngine
  model: AttachedModel
}

/**
 * Null when none of the servers offers it.
 * @throws HolonError engine_unavailable when one of them cannot be asked and no other has it
 */
export async function findAttached(host: MemberHost, model: string): Promise<AttachedHit | null> {
  let failure: unknown = null
  for (const engine of host.attached?.() ?? []) {
    try {
      const models = await engine.list(AbortSignal.timeout(listWithinMs))
      const found = models.find(({ name }) => name === model)
      if (found) return { engine, model: found }
    } catch (thrown) {
      failure ??= thrown
    }
  }
  if (failure !== null) throw failure
  return null
}

export async function inspectAttached(host: MemberHost, model: string): Promise<MemberFacts> {
  const facts = await baseFacts(host)
  if ((host.attached?.() ?? []).length === 0) {
    return {
      ...facts,
      whyNot: 'no server is attached: start the node with HOLON_ENGINE and HOLON_ENGINE_URL.',
    }
  }
  try {
    const hit = await findAttached(host, model)
    if (hit === null) return facts
    const { engine } = hit
    return {
      ...facts,
      build: engine.title,
      devices: [engine.url],
      modelPath: hit.model.name,
      modelBytes: hit.model.sizeBytes,
    }
  } catch (thrown) {
    return { ...facts, whyNot: asHolonError(thrown).message }
  }
}
