/**
 * How fast an answer comes, as the person at the page sees it. While it streams, tokens are counted by chunks
 * (engines send one token per chunk, mostly) and marked as about; the usage at the end gives the exact count.
 */
export interface AnswerSpeed {
  /** Seconds from sending to the first token; null before it. Includes loading when the model was cold. */
  ttftS: number | null
  /** True when the model was loaded for this answer. */
  cold: boolean
  tokens: number
  /** False while `tokens` is a count of chunks. */
  exact: boolean
  /** Tokens after the first, over the seconds since the first; null before there is a second one. */
  tokS: number | null
}

/** Shorter than this, the network's bursts and the browser's clock say more than the model. */
const leastSeconds = 0.05

export class AnswerMeter {
  #now: () => number
  #startedMs: number
  #firstMs: number | null = null
  #lastMs = 0
  #chunks = 0
  #tokens: number | null = null
  #cold = false

  /** `now` in milliseconds, monotonic. */
  constructor(now: () => number) {
    this.#now = now
    this.#startedMs = now()
  }

  loading(): void {
    this.#cold = true
  }

  chunk(): void {
    this.#lastMs = this.#now()
    this.#firstMs ??= this.#lastMs
    this.#chunks += 1
  }

  usage(completionTokens: number): void {
    this.#tokens = completionTokens
  }

  read(): AnswerSpeed {
    const tokens = this.#tokens ?? this.#chunks
    const first = this.#firstMs
    const seconds = first === null ? 0 : (this.#lastMs - first) / 1000
    return {
      ttftS: first === null ? null : (first - this.#startedMs) / 1000,
      cold: this.#cold,
      tokens,
      exact: this.#tokens !== null,
      // A whole answer in one burst has no measurable speed: better none than an invented one.
      tokS: tokens > 1 && this.#chunks > 1 && seconds >= leastSeconds ? (tokens - 1) / seconds : null,
    }
  }
}
