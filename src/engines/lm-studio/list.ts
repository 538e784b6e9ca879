import { askEngine, askJson, type EngineAddress } from '../attached/ask-engine.ts'
import { refuseHolon } from '../attached/engine-url.ts'
import { count, field, paramsOf, rows, text } from '../attached/read-json.ts'
import { type AttachedModel, unknownModel } from '../attached-engine.ts'

export interface Listed {
  models: AttachedModel[]
  /** Which of its own interfaces answered: v1 came with 0.4 and can load and unload. */
  api: 'v1' | 'v0'
  /** The instances that are loaded, by model; an unload names the instance. */
  instances: ReadonlyMap<string, readonly string[]>
}

/** GET /api/v1/models, or /api/v0/models of versions before 0.4. */
export async function listLmStudio(engine: EngineAddress, signal: AbortSignal): Promise<Listed> {
  const own = await askEngine(engine, '/api/v1/models', { signal })
  const v1 = field(own.json, 'models')
  if (own.status === 200 && Array.isArray(v1)) return fromV1(v1)
  // Of what else may stand at this address a hub would be the worst.
  refuseHolon(engine.url, await askEngine(engine, '/v1/models', { signal }))
  const v0 = field(await askJson(engine, '/api/v0/models', { signal }), 'data')
  return { models: rows(v0).flatMap(fromV0), api: 'v0', instances: new Map() }
}

function fromV1(list: unknown[]): Listed {
  const instances = new Map<string, string[]>()
  const models = rows(list).flatMap((row): AttachedModel[] => {
    const name = text(row.key)
    if (name === null) return []
    const loaded = rows(row.loaded_instances)
    instances.set(
      name,
      loaded.flatMap((instance) => text(instance.id) ?? []),
    )
    const config = loaded[0]?.config
    return [
      {
        ...unknownModel(name),
        loaded: loaded.length > 0,
        sizeBytes: count(row.size_bytes),
        quant: text(field(row.quantization, 'name')),
        architecture: text(row.architecture),
        paramsTotal: paramsOf(row.params_string),
        contextMax: count(row.max_context_length),
        contextTokens: count(field(config, 'context_length')),
        parallel: count(field(config, 'parallel')),
        embedding: row.type === 'embedding',
        format: formatOf(row.format),
      },
    ]
  })
  return { models, api: 'v1', instances }
}

function fromV0(row: Record<string, unknown>): AttachedModel[] {
  const name = text(row.id)
  if (name === null) return []
  return [
    {
      ...unknownModel(name),
      loaded: row.state === 'loaded',
      quant: text(row.quantization),
      architecture: text(row.arch),
      contextMax: count(row.max_context_length),
      contextTokens: count(row.loaded_context_length),
      embedding: row.type === 'embeddings',
      format: formatOf(row.compatibility_type),
    },
  ]
}

function formatOf(format: unknown): AttachedModel['format'] {
  if (format === 'gguf') return 'gguf'
  return format === 'mlx' || format === 'safetensors' ? 'safetensors' : 'unknown'
}
