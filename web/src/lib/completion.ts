/**
 * One streamed answer from /v1/chat/completions: loading, text, usage, end. Waits for a model that is loading as the
 * API asks (Retry-After), and tells a finished stream from one that broke: a stream without an end is an error.
 */
import type { LoadProgress } from '../../../src/protocol/model.ts'
import { ApiError, errorIn, isAbort, isRecord, paths, readError, unreachable } from './api.ts'
import { readSse } from './sse.ts'

export interface ChatMessage {
  role: 'system' | 'user' | 'assistant'
  content: string
}

export interface ChatRequest {
  model: string
  messages: ChatMessage[]
  temperature?: number
  max_tokens?: number
}

export interface AnswerHandlers {
  onLoading(progress: LoadProgress): void
  /** What goes on before the first token, in the hub's words: a place in the queue, the prompt being read. */
  onWaiting(note: string): void
  onText(text: string): void
  /** What a reasoning model thinks before it answers. */
  onThinking(text: string): void
  onUsage(usage: { promptTokens: number; completionTokens: number }): void
  onFinish(reason: string): void
}

export interface CompletionEffects {
  fetch: typeof fetch
  /** Resolves after so many seconds; rejects with an AbortError when aborted. */
  wait(seconds: number, signal: AbortSignal): Promise<void>
}

/** How often a 503 that says "loading" is tried again before giving up: with 1 s or more each, at least 10 minutes. */
const maxLoadingRetries = 600

/**
 * Resolves when the answer is complete.
 * @throws ApiError with a sentence for a person; AbortError when stopped.
 */
export async function streamAnswer(
  request: ChatRequest,
  handlers: AnswerHandlers,
  signal: AbortSignal,
  effects: CompletionEffects,
): Promise<void> {
  const response = await openStream(request, handlers, signal, effects)
  const reader = new AnswerReader(handlers)
  if (!response.body || !(response.headers.get('content-type') ?? '').includes('text/event-stream')) {
    throw new ApiError('The hub did not answer with a stream.', { code: 'not_understood' })
  }
  try {
    await readSse(response.body, {
      onEvent: (event) => reader.event(event.data),
      onComment: (text) => {
        const progress = readLoadingComment(text)
        if (progress) handlers.onLoading(progress)
        else if (/^(?:queued|reading)\b/i.test(text)) handlers.onWaiting(placeInWords(text))
      },
    })
  } catch (thrown) {
    if (isAbort(thrown) || thrown instanceof ApiError) throw thrown
    if (!reader.complete) throw brokenStream()
  }
  if (!reader.complete) throw brokenStream()
}

async function openStream(
  request: ChatRequest,
  handlers: AnswerHandlers,
  signal: AbortSignal,
  effects: CompletionEffects,
): Promise<Response> {
  const body = JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } })
  for (let tries = 0; ; tries++) {
    let response: Response
    try {
      response = await effects.fetch(paths.chat, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body,
        signal,
      })
    } catch (thrown) {
      if (isAbort(thrown)) throw thrown
      throw unreachable()
    }
    if (response.ok) return response
    const error = await readError(response)
    if (error.loading === null || tries >= maxLoadingRetries) throw error
    handlers.onLoading(error.loading)
    await effects.wait(Math.min(10, Math.max(1, error.retryAfterS ?? 2)), signal)
  }
}

/** `queued position=3 eta=12s` as a person says it; any other remark as it is. */
function placeInWords(text: string): string {
  const [, position, eta] = /^queued position=(\d+)(?: eta=(\d+)s)?$/.exec(text) ?? []
  if (position === undefined) return text.slice(0, 120)
  const place = position === '1' ? 'next in line' : `number ${position} in line`
  return eta === undefined ? `waiting, ${place}` : `waiting, ${place}, about ${eta} s`
}

function brokenStream(): ApiError {
  return new ApiError('The connection broke before the answer was complete. What arrived is kept.', {
    code: 'stream_broken',
  })
}

/** Understands the JSON chunks of one stream and knows whether the answer came to its end. */
class AnswerReader {
  #handlers: AnswerHandlers
  complete = false

  constructor(handlers: AnswerHandlers) {
    this.#handlers = handlers
  }

  event(data: string): void {
    if (data === '[DONE]') {
      this.complete = true
      return
    }
    let chunk: unknown
    try {
      chunk = JSON.parse(data)
    } catch {
      throw new ApiError('The stream held something that is not JSON.', { code: 'not_understood' })
    }
    const error = errorIn(chunk, 200)
    if (error) throw error
    if (!isRecord(chunk)) return
    this.#choice(Array.isArray(chunk.choices) ? chunk.choices[0] : undefined)
    this.#usage(chunk.usage)
  }

  #choice(choice: unknown): void {
    if (!isRecord(choice)) return
    if (isRecord(choice.delta)) {
      const { content, reasoning_content: thinking, reasoning } = choice.delta
      if (typeof thinking === 'string' && thinking !== '') this.#handlers.onThinking(thinking)
      else if (typeof reasoning === 'string' && reasoning !== '') this.#handlers.onThinking(reasoning)
      if (typeof content === 'string' && content !== '') this.#handlers.onText(content)
    }
    if (typeof choice.finish_reason === 'string') {
      // The reason ends the answer even if the connection breaks before the usage and [DONE].
      this.complete = true
      this.#handlers.onFinish(choice.finish_reason)
    }
  }

  #usage(usage: unknown): void {
    if (!isRecord(usage) || typeof usage.completion_tokens !== 'number') return
    this.#handlers.onUsage({
      promptTokens: typeof usage.prompt_tokens === 'number' ? usage.prompt_tokens : 0,
      completionTokens: usage.completion_tokens,
    })
  }
}

/** `loading`, `loading 40 %`, `loading 40 % (reading weights)`: null for any other comment. */
export function readLoadingComment(comment: string): LoadProgress | null {
  if (!/^loading\b/i.test(comment)) return null
  const percent = /(\d+(?:\.\d+)?) ?%/.exec(comment)
  const phase = comment
    .slice('loading'.length)
    .replace(percent?.[0] ?? '', '')
    .replace(/^[\s:,(]+|[\s:,)]+$/g, '')
  return {
    phase: phase || 'loading',
    percent: percent ? Math.min(100, Number(percent[1])) : null,
    etaS: null,
  }
}
