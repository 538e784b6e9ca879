/**
 * Placing a model on exo's machines: of its previews the one that can be had on the fewest, sent back word for word,
 * then watched in its state until every runner is ready. `/place_instance` would fail where nobody sees it.
 */
import { request } from 'undici'
import { HolonError } from '../../core/errors.ts'
import { askEngine, askJson, type EngineAddress, toldBy, unreachable } from '../attached/ask-engine.ts'
import { pause } from '../attached/pause.ts'
import { field, record, rows } from '../attached/read-json.ts'
import type { AttachedLoad, AttachedModel } from '../attached-engine.ts'
import { canAnswer, type ExoState, type Instance, readState } from './list.ts'

const longestMs = 30 * 60_000
const lookEveryMs = 500

export async function loadInExo(
  engine: EngineAddress,
  model: AttachedModel,
  { contextTokens, signal, onProgress }: AttachedLoad,
): Promise<void> {
  if (contextTokens !== null) throw new HolonError('usage', 'exo takes no length of the context for a model.')
  const end = Date.now() + longestMs
  let placed = await instanceOf(engine, model, signal)
  if (placed === undefined) {
    await place(engine, model, signal)
    // It is registered a moment after the answer.
    for (let tries = 0; placed === undefined && tries < 60; tries++) {
      await pause(lookEveryMs, signal)
      placed = await instanceOf(engine, model, signal)
    }
    if (placed === undefined) throw failed(model, 'the placement was accepted and never made')
  }
  for (;;) {
    const state = await readState(engine, signal)
    const instance = state.instances.find(({ id }) => id === placed!.id)
    if (instance === undefined) throw failed(model, 'exo took the instance away while it was loading')
    if (canAnswer(instance, state)) return
    refuseFailed(model, instance, state)
    onProgress({ phase: 'loading in exo', percent: percentOf(instance, state), etaS: null })
    if (Date.now() > end) throw failed(model, 'it was not ready after half an hour')
    await pause(lookEveryMs, signal)
  }
}

/** Every instance of the model. */
export async function unloadFromExo(
  engine: EngineAddress,
  model: AttachedModel,
  signal: AbortSignal,
): Promise<void> {
  const { instances } = await readState(engine, signal)
  for (const { id } of instances.filter((instance) => instance.model === model.name)) {
    const { statusCode, body } = await request(`${engine.url}/instance/${encodeURIComponent(id)}`, {
      method: 'DELETE',
      headers: engine.headers,
      signal,
    }).catch((cause) => {
      throw unreachable(engine, String(cause.code ?? cause.message), cause)
    })
    await body.dump()
    if (statusCode !== 200 && statusCode !== 404) {
      throw new HolonError('engine_failed', `exo answered ${statusCode} to unloading ${model.name}.`, {
        source: 'engine',
      })
    }
  }
}

async function instanceOf(
  engine: EngineAddress,
  model: AttachedModel,
  signal: AbortSignal,
): Promise<Instance | undefined> {
  const { instances } = await readState(engine, signal)
  return instances.find((instance) => instance.model === model.name)
}

async function place(engine: EngineAddress, model: AttachedModel, signal: AbortSignal): Promise<void> {
  const path = `/instance/previews?model_id=${encodeURIComponent(model.name)}`
  const previews = rows(field(await askJson(engine, path, { signal, withinMs: 60_000 }), 'previews'))
  const possible = previews.filter((preview) => preview.instance != null && preview.error == null)
  possible.sort((a, b) => machinesOf(a) - machinesOf(b))
  const [best] = possible
  if (best === undefined) {
    const told = previews.map((preview) => preview.error).find((error) => typeof error === 'string')
    throw failed(model, told ?? 'no machine of it has room', 'model_too_big')
  }
  const answer = await askEngine(engine, '/instance', {
    body: { instance: best.instance },
    signal,
    withinMs: 60_000,
  })
  if (answer.status !== 200)
    throw failed(model, toldBy(answer.json) ?? `status ${answer.status}`, 'model_too_big')
}

function machinesOf(preview: Record<string, unknown>): number {
  return Object.keys(record(preview.memory_delta_by_node)).length
}

function refuseFailed(model: AttachedModel, instance: Instance, { runners }: ExoState): void {
  for (const id of instance.runners) {
    const runner = runners.get(id)
    if (runner?.state === 'RunnerFailed') throw failed(model, runner.message ?? 'a runner failed')
  }
}

function percentOf(instance: Instance, { runners }: ExoState): number | null {
  const parts = instance.runners.map((id) => runners.get(id))
  const known = parts.filter((runner) => runner?.ofLayers != null)
  if (known.length === 0) return null
  const done = known.reduce((sum, runner) => sum + (runner?.layers ?? 0), 0)
  const all = known.reduce((sum, runner) => sum + (runner?.ofLayers ?? 0), 0)
  return Math.min(100, (done / all) * 100)
}

function failed(
  model: AttachedModel,
  why: string,
  code: 'model_load_failed' | 'model_too_big' = 'model_load_failed',
): HolonError {
  return new HolonError(code, `exo could not load ${model.name}: ${why}`, { source: 'engine' })
}
