import type { EngineFound } from '../protocol/machine.ts'
import type { LoadProgress } from '../protocol/model.ts'

/**
 * What every engine looks like to the agent. An engine is always a child process that speaks HTTP on loopback
 * behind a per-launch secret, so that a native crash never takes the agent down and the hub relays bytes to all alike.
 * One process serves one model. Each engine is a folder with the same file names:
 * `index.ts` (the driver), `detect.ts`, `install.ts`, `launch.ts`, `parameters.ts`.
 */
export interface EngineDriver {
  readonly id: string
  readonly title: string
  /** Request parameters honoured, by OpenAI name. The hub refuses the others by name. */
  readonly parameters: ReadonlySet<string>
  /** Is it here, which version, and if not why not and what to do. Never throws, never installs. */
  detect(): Promise<EngineFound>
  /** Makes it available: fetches the pack or builds it, with progress. Resolves at once when already there. */
  install(options: { onProgress: (progress: LoadProgress) => void; signal: AbortSignal }): Promise<void>
  /**
   * Starts a process and resolves when it can answer a request (not when a port is open).
   * @throws HolonError model_file_missing, model_file_invalid, model_too_big, model_load_failed, engine_unavailable
   */
  launch(spec: LaunchSpec): Promise<EngineProcess>
}

export interface LaunchSpec {
  modelId: string
  /** Absolute path of the GGUF (first file of a split set). */
  modelPath: string
  /** Tokens per sequence; null lets the engine choose from the model and the memory. */
  contextTokens: number | null
  /** Sequences answered at once. */
  parallel: number
  /** CPU threads; null lets the engine measure or choose. */
  threads: number | null
  embedding: boolean
  onProgress: (progress: LoadProgress) => void
  /** One line of the engine's own log, for the log file; may hold no prompts. */
  onLog: (line: string) => void
  signal: AbortSignal
}

export interface EngineExit {
  code: number | null
  signal: string | null
  /** One sentence for people. */
  reason: string
}

export interface EngineProcess {
  readonly pid: number
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
  /** Tokens per sequence that the engine really allotted. */
  readonly contextTokens: number
  readonly parallel: number
  readonly threads: number | null
  /** Resolves once, when the process has ended, however it did. */
  readonly exited: Promise<EngineExit>
  /** True when it can answer now; bounded in time. */
  healthy(signal: AbortSignal): Promise<boolean>
  /** Ends the process and its children: SIGTERM, then SIGKILL after `graceMs`. Resolves when it is gone. */
  stop(graceMs?: number): Promise<void>
}
