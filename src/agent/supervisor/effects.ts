/** What the supervisor is told, what it may do, and the words both use. No I/O anywhere in this folder. */
import type { HolonError } from '../../core/errors.ts'
import type { LoadProgress } from '../../protocol/model.ts'

/** What the supervisor must know of a model to load it. */
export interface ModelFacts {
  id: string
  /** The demonstration model stays in memory: it is small, and the first answer must be instant. */
  demo: boolean
  contextMax: number | null
  /** Bytes for `parallel` sequences of `contextTokens` tokens. */
  need(contextTokens: number, parallel: number): number
}

/** What somebody asked for; null leaves the choice to Holon. */
export interface Wish {
  contextTokens: number | null
  parallel: number | null
  engine: string | null
}

/** What a load is for, beside its settings. */
export interface LoadTerms {
  /** Keep it in memory from now on, until it is unloaded. */
  keep?: boolean
  /** Only into memory that is free: nothing leaves for it, and nobody waits for it. */
  ifRoom?: boolean
}

/** What a model is loaded with. */
export interface Plan {
  contextTokens: number
  parallel: number
  engine: string | null
  /** Memory set aside for it, bytes. */
  needBytes: number
}

/** A running engine, as it came up. */
export interface Running {
  engine: string
  pid: number
  contextTokens: number
  parallel: number
  threads: number | null
}

/** What the supervisor acts through. Calls return at once; their outcome comes back as an event. */
export interface SupervisorEffects {
  /** Find, install and launch an engine. Answered by `onStarted` or `onStartFailed`, once. */
  start(attempt: number, model: string, plan: Plan): void
  /** Give up a start. It is still answered by `onStarted` or `onStartFailed`. */
  abandon(attempt: number): void
  /** End a running engine. Answered by `onExited`. */
  stop(attempt: number): void
  /** Ask a running engine whether it can answer. Answered by `onHealth`. */
  checkHealth(attempt: number): void
  /** The caller holds the engine of `attempt` now, until `onRelease(lease)`. */
  granted(ticket: number, lease: number, attempt: number): void
  /** A load or unload has been done. */
  done(ticket: number): void
  refused(ticket: number, error: HolonError): void
  progress(ticket: number, progress: LoadProgress): void
  /** The engine is gone while the lease was held. */
  died(lease: number, sentence: string): void
  /** Something that people see has changed. */
  changed(): void
  log(level: 'info' | 'warn', fields: object, message: string): void
}

export interface SupervisorConfig {
  /** What models may take together, bytes; asked whenever it matters, because it changes. */
  memoryBudgetBytes(): number
  defaults: { contextTokens: number; parallel: number }
  /** Idle time after which a model leaves memory; 0 never. */
  idleUnloadMs: number
  /** How long a model may wait for memory that others are using. */
  memoryWaitMs: number
  /** How long a reload or unload waits for answers under way. */
  drainMs: number
  /** How long a failed load is reported instead of tried again. */
  failureHoldMs: number
  /** Pause after the first crash; doubles up to `backoffMaxMs`; starts anew after `stableMs` without a crash. */
  backoffMs: number
  backoffMaxMs: number
  stableMs: number
  /** Crashes in a row after which nobody's wish is needed to restart it. */
  maxIdleRestarts: number
  healthEveryMs: number
  /** Failed health checks in a row after which an engine counts as hung. */
  healthFailures: number
}

export const supervisorDefaults: Omit<SupervisorConfig, 'memoryBudgetBytes'> = {
  defaults: { contextTokens: 8192, parallel: 4 },
  idleUnloadMs: 10 * 60_000,
  memoryWaitMs: 60_000,
  drainMs: 60_000,
  failureHoldMs: 5_000,
  backoffMs: 1_000,
  backoffMaxMs: 60_000,
  stableMs: 60_000,
  maxIdleRestarts: 3,
  healthEveryMs: 15_000,
  healthFailures: 3,
}
