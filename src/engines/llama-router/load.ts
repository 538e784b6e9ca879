/**
 * Loading in a router: asked once, then watched in its list until the model's process can answer or has ended. How far
 * it is comes from its events, which older builds do not have; they decide nothing.
 */
import { request } from 'undici'
import { HolonError } from '../../core/errors.ts'
import { askEngine, type EngineAddress, type EngineAnswer, toldBy } from '../attached/ask-engine.ts'
import { pause } from '../attached/pause.ts'
import { field, text } from '../attached/read-json.ts'
import type { AttachedLoad, AttachedModel } from '../attached-engine.ts'
import { type RouterRow, rowsOf } from './list.ts'

const longestMs = 30 * 60_000
const lookEveryMs = 250
const beginsWithinMs = 5_000
/** How long it is asked again while all that it holds are answering: it never pushes one of those out. */
const longestFullMs = 60_000
const unloadWithinMs = 30_000

/** @throws HolonError usage, model_load_failed, overloaded, engine_unavailable, or the signal's reason */
export async function loadInRouter(
  engine: EngineAddress,
  model: AttachedModel,
  { contextTokens, signal, onProgress }: AttachedLoad,
): Promise<void> {
  if (contextTokens !== null) {
    throw new HolonError('usage', 'The llama-server router takes the length of the context from its owner.', {
      hint: 'Give it -c, or `c = 8192` in the preset of the model.',
    })
  }
  const over = new AbortController()
  const watching = watchProgress(engine, model.name, AbortSignal.any([signal, over.signal]), (percent) =>
    onProgress({ phase: 'reading weights', percent, etaS: null }),
  )
  try {
    await askToLoad(engine, model, signal, () =>
      onProgress({ phase: 'waiting for room in the router', percent: null, etaS: null }),
    )
    await untilLoaded(engine, model, signal)
  } finally {
    over.abort()
    await watching
  }
}

/** @throws HolonError engine_failed, engine_unavailable */
export async function unloadFromRouter(
  engine: EngineAddress,
  model: AttachedModel,
  signal: AbortSignal,
): Promise<void> {
  const answer = await askEngine(engine, '/models/unload', { body: { model: model.name }, signal })
  if (answer.status !== 200 && !/not running/i.test(toldBy(answer.json) ?? '')) {
    throw new HolonError('engine_failed', `The router could not unload ${model.name}: ${told(answer)}`, {
      source: 'engine',
    })
  }
  const end = Date.now() + unloadWithinMs
  while ((await rowOf(engine, model.name, signal))?.status !== 'unloaded') {
    if (Date.now() > end) {
      throw new HolonError('engine_failed', `The router did not unload ${model.name} in time.`, {
        source: 'engine',
      })
    }
    await pause(lookEveryMs, signal)
  }
}

async function askToLoad(
  engine: EngineAddress,
  model: AttachedModel,
  signal: AbortSignal,
  onFull: () => void,
): Promise<void> {
  const end = Date.now() + longestFullMs
  for (;;) {
    const body = { model: model.name }
    const answer = await askEngine(engine, '/models/load', { body, signal, withinMs: 60_000 })
    const said = toldBy(answer.json) ?? ''
    // Somebody else asked first, or it sleeps and wakes with the next request.
    if (answer.status === 200 || /already (running|loading|loaded)/i.test(said)) return
    if (!/limit reached/i.test(said)) throw failed(model, told(answer))
    if (Date.now() > end) {
      throw new HolonError(
        'overloaded',
        `The router holds as many models as it may, and all of them are answering; ${model.name} has no room.`,
        {
          source: 'engine',
          retryAfterS: 10,
          hint: 'Try again in a moment, or start it with a larger --models-max.',
        },
      )
    }
    onFull()
    await pause(1_000, signal)
  }
}

async function untilLoaded(engine: EngineAddress, model: AttachedModel, signal: AbortSignal): Promise<void> {
  const asked = Date.now()
  let begun = false
  for (;;) {
    const row = await rowOf(engine, model.name, signal)
    if (row === null) throw failed(model, 'it is no longer on its list')
    if (row.status === 'loaded' || row.status === 'sleeping') return
    if (row.status === 'loading') begun = true
    // Before that its list tells how the last one ended.
    else if (begun || Date.now() - asked > beginsWithinMs) throw failed(model, exitOf(row))
    if (Date.now() - asked > longestMs) throw failed(model, 'it was not ready after half an hour')
    await pause(lookEveryMs, signal)
  }
}

async function rowOf(engine: EngineAddress, name: string, signal: AbortSignal): Promise<RouterRow | null> {
  return (await rowsOf(engine, signal)).find((row) => row.name === name) ?? null
}

/** Never throws: a router without events loads as well. */
async function watchProgress(
  engine: EngineAddress,
  name: string,
  signal: AbortSignal,
  tell: (percent: number) => void,
): Promise<void> {
  try {
    const { body, statusCode } = await request(`${engine.url}/models/sse`, {
      headers: { accept: 'text/event-stream', ...engine.headers },
      headersTimeout: 0,
      bodyTimeout: 0,
      signal,
    })
    if (statusCode !== 200) {
      await body.dump()
      return
    }
    let rest = ''
    // A letter of a name may come in two pieces.
    body.setEncoding('utf8')
    for await (const chunk of body) {
      const lines = (rest + String(chunk)).split('\n')
      rest = lines.pop() ?? ''
      // A line that does not end is no event.
      if (rest.length > 65_536) return
      for (const line of lines) {
        const percent = percentIn(line, name)
        if (percent !== null) tell(percent)
      }
    }
  } catch {
    // The load itself is watched elsewhere.
  }
}

/** `data: {"model","data":{"status":"loading","progress":{"stages":[…],"current":"text_model","value":0.5}}}` */
export function percentIn(line: string, name: string): number | null {
  if (!line.startsWith('data:')) return null
  let event: unknown
  try {
    event = JSON.parse(line.slice(5))
  } catch {
    return null
  }
  const progress = field(event, 'data', 'progress')
  const value = field(progress, 'value')
  if (text(field(event, 'model')) !== name || typeof value !== 'number') return null
  const stages = field(progress, 'stages')
  const count = Array.isArray(stages) ? Math.max(1, stages.length) : 1
  const stage = Array.isArray(stages) ? Math.max(0, stages.indexOf(field(progress, 'current'))) : 0
  return Math.min(100, Math.max(0, ((stage + value) / count) * 100))
}

function exitOf({ exitCode }: RouterRow): string {
  return exitCode === null
    ? 'its process ended'
    : `its process ended with code ${exitCode}; the log of the router says why`
}

function told(answer: EngineAnswer): string {
  return toldBy(answer.json) ?? `status ${answer.status}`
}

function failed(model: AttachedModel, why: string): HolonError {
  return new HolonError(
    'model_load_failed',
    `The llama-server router could not load ${model.name}: ${why}.`,
    {
      source: 'engine',
    },
  )
}
