/** exo's downloaded models and the memory of its machines, all of them together. */
import { asHolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress } from '../../engines/attached/ask-engine.ts'
import { count, field, record } from '../../engines/attached/read-json.ts'
import type { MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'
import { exoOf } from './find-exo.ts'

const askWithinMs = 10_000

export async function inspectExo(host: MemberHost, model: string): Promise<MemberFacts> {
  const facts = await baseFacts(host)
  const exo = exoOf(host)
  const signal = AbortSignal.timeout(askWithinMs)
  try {
    const models = await exo.list(signal)
    const found = models.find(({ name }) => name === model)
    const nodes = await liveNodes(exo, signal)
    const memory = await memoryOf(exo, nodes, signal)
    return {
      ...facts,
      build: 'exo',
      devices: nodes,
      modelPath: found?.name ?? null,
      modelBytes: found?.sizeBytes ?? null,
      ...(memory === null ? {} : { memory }),
    }
  } catch (thrown) {
    return { ...facts, whyNot: `${asHolonError(thrown).message} Open the EXO app on this machine.` }
  }
}

/** `topology.nodes` is the live list: identities of machines that are gone are never removed from the others. */
export async function liveNodes(exo: EngineAddress, signal: AbortSignal): Promise<string[]> {
  const { status, json } = await askEngine(exo, '/state/topology', { signal })
  const nodes = status === 200 ? field(json, 'nodes') : []
  return Array.isArray(nodes) ? nodes.map(String) : []
}

async function memoryOf(
  exo: EngineAddress,
  nodes: readonly string[],
  signal: AbortSignal,
): Promise<MemberFacts['memory'] | null> {
  const { status, json } = await askEngine(exo, '/state/nodeMemory', { signal })
  if (status !== 200) return null
  let budgetBytes = 0
  let freeBytes = 0
  for (const [node, memory] of Object.entries(record(json))) {
    if (!nodes.includes(node)) continue
    budgetBytes += count(field(memory, 'ramTotal', 'inBytes')) ?? 0
    freeBytes += count(field(memory, 'ramAvailable', 'inBytes')) ?? 0
  }
  return budgetBytes === 0 ? null : { budgetBytes, usedBytes: Math.max(0, budgetBytes - freeBytes) }
}
