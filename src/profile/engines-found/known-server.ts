/** What it takes to know an engine that Holon did not start: one file beside this for each. */
import type { Answer, Ask } from './ask.ts'

export interface KnownServer {
  id: string
  title: string
  /** Where it listens unless told otherwise. Any of them may hold any other engine: the answer decides, not the port. */
  port: number
  /** Is this it? `models` is its answer to GET /v1/models, which all of them have; further questions go through `ask`. */
  recognise(models: Answer | null, ask: Ask): Promise<Recognised | null>
  /** Names of its program, as found in PATH. */
  commands: readonly string[]
  /** Other places of its program, `~` for the user's folder. */
  places: readonly string[]
  /** Folders that hold its models, and how deep below them a model's name lies. */
  modelFolders: readonly string[]
  modelDepth: number
  /** The model that a path below a model folder stands for; null when it is none. */
  modelName(parts: readonly string[]): string | null
  /** How to start it. */
  start: string
}

export interface Recognised {
  version: string | null
  models: string[]
  /** Why it cannot be used now, though it runs. */
  whyNot?: string
  hint?: string
}

/** The models of an OpenAI-style list, if that is what the answer is. */
export function openaiModels(answer: Answer | null): { id: string; ownedBy: string | null }[] | null {
  const json = answer?.status === 200 ? (answer.json as { object?: unknown; data?: unknown } | null) : null
  if (typeof json !== 'object' || json === null || json.object !== 'list' || !Array.isArray(json.data))
    return null
  return json.data.flatMap((model: unknown) => {
    const { id, owned_by } = (model ?? {}) as { id?: unknown; owned_by?: unknown }
    return typeof id === 'string' ? [{ id, ownedBy: typeof owned_by === 'string' ? owned_by : null }] : []
  })
}

/** The ids of the models when every one of them says it belongs to `owner`; null otherwise. */
export function ownedBy(owner: string, answer: Answer | null): string[] | null {
  const models = openaiModels(answer)
  if (!models || models.length === 0 || models.some((model) => model.ownedBy !== owner)) return null
  return models.map((model) => model.id)
}

/** For engines whose models on disk are not told apart from anyone's. */
export const noModelsOnDisk = { modelFolders: [], modelDepth: 0, modelName: () => null } as const
