/** The attached server that offers a model, as its node sees it. Its memory is what the owner declared for the node. */
import { asHolonError } from '../../core/errors.ts'
import type { AttachedEngine, AttachedModel } from '../../engines/attached-engine.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'

const listWithinMs = 10_000

/** Servers of one machine, whose models are asked for without a pool; exo has an engine of its own for pools. */
const noClusters: Readonly<Record<string, string>> = {
  ollama: 'Ollama runs on one machine and is no cluster: ask for its models without a pool.',
  'lm-studio': 'LM Studio runs on one machine and is no cluster: ask for its models without a pool.',
  exo: 'the server attached here is exo, on which Holon places models itself: use --engine exo.',
}

export interface AttachedHit {
  engine: AttachedEngine
  model: AttachedModel
}

/**
 * Null when none of the servers offers it.
 * @throws HolonError engine_unavailable when one of them cannot be asked and no other has it
 */
export async function findAttached(host: MemberHost, model: string): Promise<AttachedHit | null> {
  // The node may call it otherwise than its server: two servers can have models of one name.
  const known = host.attachedModel?.(model)
  const name = known?.name ?? model
  let failure: unknown = null
  for (const engine of known ? [known.engine] : clustersOf(host)) {
    try {
      const models = await engine.list(AbortSignal.timeout(listWithinMs))
      const found = models.find((each) => each.name === name)
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
  const whyNot = whyNoCluster(host, model)
  if (whyNot !== null) return { ...facts, whyNot }
  const build = clustersOf(host)[0]?.title ?? null
  try {
    const hit = await findAttached(host, model)
    if (hit === null) return { ...facts, build }
    const { engine } = hit
    return {
      ...facts,
      build: engine.title,
      devices: [engine.url.slice(0, 200)],
      modelPath: hit.model.name,
      modelBytes: hit.model.sizeBytes,
    }
  } catch (thrown) {
    return { ...facts, build, whyNot: asHolonError(thrown).message }
  }
}

function clustersOf(host: MemberHost): AttachedEngine[] {
  return (host.attached?.() ?? []).filter(({ id }) => noClusters[id] === undefined)
}

function whyNoCluster(host: MemberHost, model: string): string | null {
  const [any] = host.attached?.() ?? []
  if (any === undefined)
    return 'no server is attached: start the node with HOLON_ENGINE and HOLON_ENGINE_URL.'
  const { id } = host.attachedModel?.(model)?.engine ?? clustersOf(host)[0] ?? any
  return noClusters[id] ?? null
}
