/** What the books keep of one answer: who, how long, how many tokens. Never what was said. */
export interface AnswerRecord {
  requestId: string
  /** Milliseconds since the epoch. */
  time: number
  endpoint: 'chat' | 'completion' | 'embedding'
  model: string
  node: string
  engine: string
  /** HTTP status; 499 when the client left. */
  status: number
  /** Code of the error, null for a whole answer. */
  error: string | null
  stream: boolean
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  /** False when the engine told no counts and the stream's events were counted instead. */
  exactTokens: boolean
  /** Milliseconds from the whole body to the moment it went to the engine. */
  queueMs: number
  /** Milliseconds from the request to the first token; null when nothing was streamed. */
  ttftMs: number | null
  durationMs: number
  prefillTokS: number | null
  decodeTokS: number | null
  retries: number
  /** The key it was asked with; null for the owner's own. */
  keyId: string | null
}
