import type { HolonError } from '../core/errors.ts'
import type { EngineFound } from '../protocol/machine.ts'
import type { LoadProgress } from '../protocol/model.ts'

/**
 * A server that was already there: it serves many models, has its own rules about memory, and is never started or
 * ended by Holon. The agent offers its models beside its own and reaches it through a `Door`, which speaks OpenAI's
 * dialect to the hub whatever the server speaks. Each is a folder with the same file names: `index.ts` (what it is),
 * `list.ts` (its models), `parameters.ts`; `load.ts` and `answer.ts` where it has a way of its own.
 */
export interface AttachedEngine {
  readonly id: string
  readonly title: string
  /** Without a slash at the end, and without `/v1`. */
  readonly url: string
  /** Sent with every request: its API key. */
  readonly headers: Readonly<Record<string, string>>
  /** Request parameters it honours, by OpenAI name. */
  readonly parameters: ReadonlySet<string>
  /** Answers given at once when it does not say so itself for a model. */
  readonly parallel: number
  /** How often its list is asked for, milliseconds. */
  readonly lookEveryMs: number
  /** Its own word that a model is loaded can be trusted; where it cannot, one token must prove it first. */
  readonly saysWhatIsLoaded: boolean
  /** Is it there, which version, and if not why not. Never throws. */
  detect(signal: AbortSignal): Promise<EngineFound>
  /**
   * Its models now.
   * @throws HolonError engine_unavailable when it does not answer, config_invalid when it is no engine
   */
  list(signal: AbortSignal): Promise<AttachedModel[]>
  /** Brings a model into its memory; absent where it cannot be asked to. */
  load?(model: AttachedModel, options: AttachedLoad): Promise<void>
  /** Takes a model out of its memory; absent where it cannot be asked to. */
  unload?(model: AttachedModel, signal: AbortSignal): Promise<void>
  /** How an OpenAI request for it is sent. Called with a body whose `model` is the engine's own name already. */
  carry(path: string, body: Record<string, unknown>): Carried
}

export interface AttachedLoad {
  /** Tokens per answer; null leaves it to the engine. */
  contextTokens: number | null
  signal: AbortSignal
  onProgress(progress: LoadProgress): void
}

/** What an engine says of one of its models. What it does not say is null. */
export interface AttachedModel {
  /** The engine's own name. */
  name: string
  /** Whether it can answer without loading; null when the engine does not say. */
  loaded: boolean | null
  sizeBytes: number | null
  quant: string | null
  architecture: string | null
  paramsTotal: number | null
  /** The longest context of the model, tokens. */
  contextMax: number | null
  /** Context allotted now, tokens. */
  contextTokens: number | null
  /** What it takes in memory now, bytes. */
  memoryBytes: number | null
  /** Answers at once, where the engine says so for this model. */
  parallel: number | null
  embedding: boolean
  format: 'gguf' | 'safetensors' | 'unknown'
}

/** A request on its way to an engine. */
export interface Carried {
  path: string
  body: Record<string, unknown>
  /** Turns the engine's answer into OpenAI's; null when it is that already. */
  translation: Translation | null
  /**
   * Waits until the engine may be asked, for engines that break on two requests at once; what it returns is called when
   * the answer is over, however it ended. @throws the signal's reason
   */
  turn?(signal: AbortSignal): Promise<() => void>
}

/** One answer's translator; it lives as long as the answer. */
export interface Translation {
  /** One line of a streamed answer, without its end. The text to send, which may be empty. @throws HolonError engine_failed */
  line(line: string): string
  /** After the last line. @throws HolonError engine_failed when the answer was not whole */
  end(): string
  /** Whether the caller is slow to take what was said: nothing more is asked of the engine meanwhile. */
  callerIsSlow?(slow: boolean): void
  /** A whole answer, parsed. */
  whole(answer: unknown): unknown
}

/** Told of every request that an engine took or did not take. */
export interface DoorEvents {
  answered(model: string): void
  failed(model: string, error: HolonError): void
}

/** Nothing known but the name. */
export function unknownModel(name: string): AttachedModel {
  return {
    name,
    loaded: null,
    sizeBytes: null,
    quant: null,
    architecture: null,
    paramsTotal: null,
    contextMax: null,
    contextTokens: null,
    memoryBytes: null,
    parallel: null,
    embedding: /(^|[-_/. ])(embed|embedding|embeddings|bge|gte|e5|minilm)([-_/.: ]|$)/i.test(name),
    format: 'unknown',
  }
}
