import { askEngine, askJson, type EngineAddress } from '../attached/ask-engine.ts'
import { refuseHolon } from '../attached/engine-url.ts'
import { count, field, record, rows, text } from '../attached/read-json.ts'
import { type AttachedModel, unknownModel } from '../attached-engine.ts'

export interface Instance {
  id: string
  model: string
  runners: readonly string[]
  /** Ids of the machines that it is placed on. */
  nodes: readonly string[]
}

/** What of exo's state tells whether a model can answer. */
export interface ExoState {
  instances: readonly Instance[]
  /** Name of the runner's state, by runner; a runner that is not listed is gone. */
  runners: ReadonlyMap<
    string,
    { state: string; message: string | null; layers: number | null; ofLayers: number | null }
  >
}

/** Answers now, or would as soon as it is free. */
const able = new Set(['RunnerReady', 'RunnerRunning'])

export async function readState(engine: EngineAddress, signal: AbortSignal): Promise<ExoState> {
  const [instances, runners] = await Promise.all([
    part(engine, '/state/instances', signal),
    part(engine, '/state/runners', signal),
  ])
  return {
    instances: Object.entries(instances).flatMap(([id, tagged]) => instanceOf(id, tagged)),
    runners: new Map(Object.entries(runners).map(([id, tagged]) => [id, runnerOf(tagged)])),
  }
}

/** A part that holds nothing yet is answered with 404. */
async function part(
  engine: EngineAddress,
  path: string,
  signal: AbortSignal,
): Promise<Record<string, unknown>> {
  const answer = await askEngine(engine, path, { signal })
  return answer.status === 200 ? record(answer.json) : {}
}

/** Unions are tagged by the name of their class: `{"MlxRingInstance":{…}}`. */
function instanceOf(id: string, tagged: unknown): Instance[] {
  const inner = Object.values(record(tagged))[0]
  const model = text(field(inner, 'shardAssignments', 'modelId'))
  const placed = record(field(inner, 'shardAssignments', 'nodeToRunner'))
  const [nodes, runners] = [Object.keys(placed), Object.values(placed).map(String)]
  return model === null ? [] : [{ id, model, runners, nodes }]
}

function runnerOf(tagged: unknown): {
  state: string
  message: string | null
  layers: number | null
  ofLayers: number | null
} {
  const [state = 'unknown', inner] = Object.entries(record(tagged))[0] ?? []
  return {
    state,
    message: text(field(inner, 'errorMessage')),
    layers: count(field(inner, 'layersLoaded')),
    ofLayers: count(field(inner, 'totalLayers')),
  }
}

/** An instance that is registered is not loaded: every one of its runners must say it is ready. */
export function canAnswer(instance: Instance, { runners }: ExoState): boolean {
  return instance.runners.length > 0 && instance.runners.every((id) => able.has(runners.get(id)?.state ?? ''))
}

/** The downloaded models: its full list is a catalogue of what it could fetch. */
export async function listExo(engine: EngineAddress, signal: AbortSignal): Promise<AttachedModel[]> {
  const [answer, state] = await Promise.all([
    askEngine(engine, '/v1/models?status=downloaded', { signal }),
    readState(engine, signal),
  ])
  refuseHolon(engine.url, answer)
  const list = answer.status === 200 ? answer.json : await askJson(engine, '/v1/models', { signal })
  return rows(field(list, 'data')).flatMap((row): AttachedModel[] => {
    const name = text(row.id)
    if (name === null) return []
    const megabytes = count(row.storage_size_megabytes)
    return [
      {
        ...unknownModel(name),
        loaded: state.instances.some((instance) => instance.model === name && canAnswer(instance, state)),
        sizeBytes: megabytes === null ? null : megabytes * 1024 * 1024,
        quant: text(row.quantization),
        architecture: text(row.family),
        contextMax: count(row.context_length),
        embedding: false,
        format: 'safetensors',
      },
    ]
  })
}
