/**
 * Placing a model on exo's machines: of its previews the best that has the wanted split, sent back word for word, and
 * then watched until every runner is ready. Being registered is not being loaded, and `/place_instance` would fail where
 * nobody sees it.
 */
import { request } from 'undici'
import { HolonError } from '../../core/errors.ts'
import { askEngine, askJson, type EngineAddress, toldBy } from '../../engines/attached/ask-engine.ts'
import { pause } from '../../engines/attached/pause.ts'
import { field, record, rows, text } from '../../engines/attached/read-json.ts'
import { canAnswer, type ExoState, type Instance, readState } from '../../engines/exo/list.ts'
import type { LoadProgress } from '../../protocol/model.ts'
import type { ExoSettings } from './layout.ts'

const lookEveryMs = 250
const registeredWithinMs = 30_000

export type Preview = Record<string, unknown>

/**
 * The preview to take: RDMA before TCP, then the fewest machines. Pure.
 * @throws HolonError pool_impossible with exo's own reason
 */
export function choosePreview(
  previews: readonly Preview[],
  { sharding }: ExoSettings,
  model: string,
): Preview {
  const best = bestPreview(previews, sharding)
  if (best !== null) return best
  const wanted = previews.filter((preview) => preview.sharding === sharding)
  const told = refusalIn(wanted) ?? refusalIn(previews)
  throw new HolonError(
    'pool_impossible',
    `exo cannot place ${model} as ${sharding}: ${told ?? 'it offers no such split'}.`,
    {
      source: 'engine',
      hint: 'Free memory on its machines, add one, or take the other split: see its dashboard.',
    },
  )
}

export function canBeHad({ instance, error }: Preview): boolean {
  return instance != null && error == null
}

/** Null when none of them can be had. */
function bestPreview(previews: readonly Preview[], sharding: ExoSettings['sharding']): Preview | null {
  const possible = previews.filter((preview) => preview.sharding === sharding && canBeHad(preview))
  possible.sort(
    (a, b) => Number(usesRdma(b)) - Number(usesRdma(a)) || machinesOf(a).length - machinesOf(b).length,
  )
  return possible[0] ?? null
}

/** exo's first word on why it cannot place a model so. */
export function refusalIn(previews: readonly Preview[]): string | null {
  return previews.map(({ error }) => text(error)).find((error) => error !== null) ?? null
}

export function usesRdma(preview: Preview): boolean {
  return preview.instance_meta === 'MlxJaccl'
}

/** Ids of the machines that would take part. */
export function machinesOf(preview: Preview): string[] {
  return Object.keys(record(preview.memory_delta_by_node))
}

/** Every placement that exo thinks of now, those that it refuses among them. @throws HolonError engine_unavailable */
export async function listPreviews(
  exo: EngineAddress,
  model: string,
  signal: AbortSignal,
): Promise<Preview[]> {
  const asked = `/instance/previews?model_id=${encodeURIComponent(model)}`
  return rows(field(await askJson(exo, asked, { signal, withinMs: 60_000 }), 'previews'))
}

/** The instance that exo would make, as it offered it, with its id. @throws HolonError pool_impossible, engine_unavailable */
export async function previewInstance(
  exo: EngineAddress,
  model: string,
  settings: ExoSettings,
  signal: AbortSignal,
): Promise<{ id: string; instance: unknown }> {
  const { instance } = choosePreview(await listPreviews(exo, model, signal), settings, model)
  // Tagged by the name of its class: `{"MlxRingInstance":{"instanceId":…}}`.
  const id = text(field(Object.values(record(instance))[0], 'instanceId'))
  if (id === null) throw failed(`exo offers an instance of ${model} without an id.`)
  return { id, instance }
}

/** Makes the instance; resolves when exo has it in its list. @throws HolonError model_too_big, model_load_failed */
export async function placeInExo(
  exo: EngineAddress,
  model: string,
  { id, instance }: { id: string; instance: unknown },
  signal: AbortSignal,
): Promise<void> {
  const answer = await askEngine(exo, '/instance', { body: { instance }, signal, withinMs: 60_000 })
  if (answer.status !== 200) {
    const why = toldBy(answer.json) ?? `status ${answer.status}`
    throw new HolonError('model_too_big', `exo refused to place ${model}: ${why}`, { source: 'engine' })
  }
  const until = Date.now() + registeredWithinMs
  while (Date.now() < until) {
    const { instances } = await readState(exo, signal)
    if (instances.some((each) => each.id === id)) return
    await pause(lookEveryMs, signal)
  }
  throw failed(`exo accepted the placement of ${model} and never made it.`)
}

/** Resolves when every runner says that it is ready. @throws HolonError model_load_failed */
export async function untilRunnersReady(
  exo: EngineAddress,
  { id, model }: { id: string; model: string },
  signal: AbortSignal,
  onProgress?: (progress: LoadProgress) => void,
): Promise<void> {
  for (;;) {
    const state = await readState(exo, signal)
    const instance = state.instances.find((each) => each.id === id)
    if (instance === undefined) throw failed(`exo took the instance of ${model} away while it was loading.`)
    if (canAnswer(instance, state)) return
    const why = failureOf(instance, state)
    if (why !== null) throw failed(`exo could not load ${model}: ${why}`)
    onProgress?.({ phase: 'loading in exo', percent: percentOf(instance, state), etaS: null })
    await pause(lookEveryMs, signal)
  }
}

/**
 * Why a placed instance cannot answer any more; null while it can. exo never places again by itself, and keeps the
 * instance of a dead machine in its list for most of a minute. `nodes` are the machines that are there now.
 */
export function troubleOf(id: string, nodes: readonly string[], state: ExoState): string | null {
  const instance = state.instances.find((each) => each.id === id)
  if (instance === undefined) return 'exo took the instance away.'
  const why = failureOf(instance, state)
  if (why !== null) return `A runner of exo failed: ${why}`
  // A runner that has shut down is not listed any more.
  if (instance.runners.some((runner) => !state.runners.has(runner))) return 'A runner of exo is gone.'
  // Others may come and go: it is not placed on them.
  const lost = instance.nodes.find((node) => !nodes.includes(node))
  return lost === undefined ? null : `A machine of exo is gone (${lost}).`
}

export async function deleteFromExo(exo: EngineAddress, id: string): Promise<void> {
  const { body } = await request(`${exo.url}/instance/${encodeURIComponent(id)}`, {
    method: 'DELETE',
    headers: exo.headers,
    signal: AbortSignal.timeout(10_000),
  })
  await body.dump()
}

function failureOf({ runners }: Instance, state: ExoState): string | null {
  for (const id of runners) {
    const runner = state.runners.get(id)
    if (runner?.state === 'RunnerFailed') return runner.message ?? 'it says no reason'
  }
  return null
}

function percentOf({ runners }: Instance, state: ExoState): number | null {
  const known = runners.flatMap((id) => {
    const { layers, ofLayers } = state.runners.get(id) ?? {}
    return ofLayers == null ? [] : [{ layers: layers ?? 0, ofLayers }]
  })
  const all = known.reduce((sum, { ofLayers }) => sum + ofLayers, 0)
  const done = known.reduce((sum, { layers }) => sum + layers, 0)
  return all === 0 ? null : Math.min(100, (done / all) * 100)
}

function failed(why: string): HolonError {
  return new HolonError('model_load_failed', why, { source: 'engine' })
}
