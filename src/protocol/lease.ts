import type { Dispatcher } from 'undici'

/** Facts about one finished answer, reported back to the node so that it knows its own speed. */
export interface AnswerStats {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  prefillTokS: number | null
  decodeTokS: number | null
}

/** A held engine: it cannot be unloaded until `release()` is called. Release exactly once. */
export interface EngineLease {
  readonly model: string
  readonly engine: string
  /** Where to send the request, e.g. `http://127.0.0.1:43117`. */
  readonly origin: string
  /** Headers the engine wants (its per-launch secret). */
  readonly headers: Readonly<Record<string, string>>
  /** The way to an engine that is not on this machine; without it, `origin` is dialled. */
  readonly dispatcher?: Dispatcher
  /** Request parameters the engine honours, by their OpenAI names. */
  readonly parameters: ReadonlySet<string>
  /** Answers it can give at once; more wait in the hub. */
  readonly parallel: number
  /** Why another engine than the one that was chosen answers, for `x-holon-route`; absent when it is the one. ASCII. */
  readonly route?: string
  /** Resolves with a sentence when the engine dies while the lease is held. */
  readonly died: Promise<string>
  release(stats?: AnswerStats): void
}
