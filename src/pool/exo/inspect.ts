/** exo's downloaded models, its machines with their memory, and how it would place a model on them now. */
import { asHolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress } from '../../engines/attached/ask-engine.ts'
import { count, field, record, text } from '../../engines/attached/read-json.ts'
import type { ClusterMachine, ClusterOffer, MemberFacts } from '../../protocol/pool.ts'
import type { MemberHost } from '../pool-engine.ts'
import { baseFacts } from '../shared/base-facts.ts'
import { exoOf } from './find-exo.ts'
import { canBeHad, listPreviews, machinesOf, type Preview, refusalIn, usesRdma } from './place.ts'

const askWithinMs = 10_000
const maxMachines = 64
const maxOffers = 16

export async function inspectExo(host: MemberHost, model: string): Promise<MemberFacts> {
  const facts = await baseFacts(host)
  const exo = exoOf(host)
  const signal = AbortSignal.timeout(askWithinMs)
  try {
    const models = await exo.list(signal)
    const found = models.find(({ name }) => name === model)
    const nodes = await liveNodes(exo, signal)
    const machines = await machinesIn(exo, nodes, signal)
    const sum = (bytes: 'memoryBytes' | 'freeBytes') =>
      [...machines.values()].reduce((all, each) => all + each[bytes], 0)
    const budgetBytes = sum('memoryBytes')
    const told = {
      ...facts,
      build: 'exo',
      devices: nodes,
      modelPath: found?.name ?? null,
      modelBytes: found?.sizeBytes ?? null,
      ...(budgetBytes === 0
        ? {}
        : { memory: { budgetBytes, usedBytes: Math.max(0, budgetBytes - sum('freeBytes')) } }),
    }
    const previews = found === undefined ? [] : await listPreviews(exo, model, signal)
    const offers = offersIn(previews, machines)
    const whyNot = found !== undefined && offers.length === 0 ? whyNone(previews) : null
    return { ...told, whyNot, cluster: { machines: [...machines.values()], offers } }
  } catch (thrown) {
    const meant = host.attached?.().some(({ id }) => id === 'exo') ?? false
    const whyNot = `${asHolonError(thrown).message} Open the EXO app on this machine.`
    return { ...facts, build: meant ? 'exo' : null, whyNot }
  }
}

/** Every placement that can be had, once for each split and set of machines. */
function offersIn(
  previews: readonly Preview[],
  machines: ReadonlyMap<string, ClusterMachine>,
): ClusterOffer[] {
  const offers = new Map<string, ClusterOffer>()
  for (const preview of previews.filter(canBeHad)) {
    const names = machinesOf(preview).map((id) => machines.get(id)?.name ?? id)
    const strategy = preview.sharding === 'Tensor' ? 'tensor' : 'pipeline'
    const offer: ClusterOffer = { strategy, machines: names, rdma: usesRdma(preview) }
    if (names.length > 0) offers.set(JSON.stringify(offer), offer)
  }
  return [...offers.values()].slice(0, maxOffers)
}

/** A model that it has and would place nowhere. */
function whyNone(previews: readonly Preview[]): string {
  const why = refusalIn(previews) ?? 'it offers no placement'
  return `exo cannot place it now: ${why}. Free memory on its machines, or add one: see its dashboard.`
}

/** `topology.nodes` is the live list: identities of machines that are gone are never removed from the others. */
export async function liveNodes(exo: EngineAddress, signal: AbortSignal): Promise<string[]> {
  const { status, json } = await askEngine(exo, '/state/topology', { signal })
  const nodes = status === 200 ? field(json, 'nodes') : []
  return Array.isArray(nodes) ? nodes.map(String) : []
}

/** The machines that are there, by id, under the names that their owners gave them. */
async function machinesIn(
  exo: EngineAddress,
  nodes: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, ClusterMachine>> {
  const part = async (path: string): Promise<Record<string, unknown>> => {
    const { status, json } = await askEngine(exo, path, { signal })
    return status === 200 ? record(json) : {}
  }
  const [memory, identities] = await Promise.all([part('/state/nodeMemory'), part('/state/nodeIdentities')])
  const machines = new Map<string, ClusterMachine>()
  for (const id of nodes.slice(0, maxMachines)) {
    const friendly = text(field(identities[id], 'friendlyName')) ?? id
    const taken = [...machines.values()].some(({ name }) => name === friendly)
    machines.set(id, {
      name: (taken ? `${friendly} ${id}` : friendly).slice(0, 200),
      chip: text(field(identities[id], 'chipId'))?.slice(0, 200) ?? null,
      memoryBytes: count(field(memory[id], 'ramTotal', 'inBytes')) ?? 0,
      freeBytes: count(field(memory[id], 'ramAvailable', 'inBytes')) ?? 0,
    })
  }
  return machines
}
