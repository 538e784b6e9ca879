import { createParser } from 'eventsource-parser'
import { HolonError } from '../core/errors.ts'

/** What one streamed answer consisted of, beside its text. */
export interface AnswerEnd {
  finishReason: string | null
  completionTokens: number | null
  /** Decode speed as the engine measured it, tokens per second. */
  decodeTokS: number | null
  /** Seconds to the first text, as seen here. */
  ttftS: number | null
}

interface Chunk {
  error?: { message?: string }
  choices?: { delta?: { content?: string | null }; finish_reason?: string | null }[]
  usage?: { completion_tokens?: number } | null
  timings?: { predicted_per_second?: number }
}

/**
 * Reads a chat completion stream to its end, handing on each piece of text as it comes.
 * @throws HolonError engine_failed when the stream carries an error, or ends without having finished
 */
export async function readChatStream(
  response: Response,
  onText: (text: string) => void,
  onComment: (comment: string) => void,
): Promise<AnswerEnd> {
  const started = performance.now()
  const end: AnswerEnd = { finishReason: null, completionTokens: null, decodeTokS: null, ttftS: null }
  let failure: string | null = null
  let finished = false
  const parser = createParser({
    onComment,
    onEvent: ({ data }) => {
      if (data === '[DONE]') {
        finished = true
        return
      }
      const chunk = JSON.parse(data) as Chunk
      if (chunk.error) failure = chunk.error.message ?? 'The answer broke off.'
      const choice = chunk.choices?.[0]
      if (choice?.delta?.content) {
        end.ttftS ??= (performance.now() - started) / 1000
        onText(choice.delta.content)
      }
      end.finishReason = choice?.finish_reason ?? end.finishReason
      end.completionTokens = chunk.usage?.completion_tokens ?? end.completionTokens
      end.decodeTokS = chunk.timings?.predicted_per_second ?? end.decodeTokS
    },
  })
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) parser.feed(decoder.decode(bytes, { stream: true }))
  if (failure !== null) throw new HolonError('engine_failed', failure, { source: 'engine' })
  if (!finished) throw new HolonError('engine_failed', 'The answer broke off before it was finished.')
  return end
}
