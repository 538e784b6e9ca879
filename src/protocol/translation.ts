/**
 * What a dialect is, to the gateway: a request turned into OpenAI's, and a way to say the answer in the dialect. Pure;
 * every function here throws HolonError or nothing.
 */
import type { HolonError } from '../core/errors.ts'
import { checkRequest, type Endpoint, type OpenAiRequest } from './openai/index.ts'

/** How one answer is told to one client. Made anew for each request, since streams have a state. */
export interface AnswerTeller {
  /** Content type of a streamed answer. */
  readonly streamType: string
  /** The request goes to the engine now: model loaded, turn come. */
  sent?(): void
  /** The engine's whole answer, in the dialect. */
  whole(answer: unknown): object
  /** One event of the engine's stream; empty when there is nothing to tell yet. */
  piece(event: unknown): string
  /** The stream is whole. */
  end(): string
  /** Keeps a waiting stream alive; empty when the dialect has no words for it. */
  keepAlive(comment: string): string
  /** The stream broke after its head went out. */
  broken(error: HolonError): string
}

export interface Translated {
  endpoint: Endpoint
  /** OpenAI's request. */
  body: Record<string, unknown>
  /** Parameters that are sent only to an engine that honours them, and are no reason to refuse elsewhere. */
  wishes: Record<string, unknown>
  /** OpenAI's names of parameters to the dialect's, where they differ. */
  names: ReadonlyMap<string, string>
}

/** A translated request, checked, with what is sent to an engine that honours `honoured`. */
export interface CheckedTranslation {
  request: OpenAiRequest
  bodyFor(honoured: ReadonlySet<string>): Buffer
}

/** @throws HolonError invalid_parameter, missing_parameter, unsupported_parameter */
export function checkTranslated(translated: Translated): CheckedTranslation {
  const { endpoint, body, wishes, names } = translated
  const request = { ...checkRequest(endpoint, body), names }
  return {
    request,
    bodyFor: (honoured) => {
      const granted = Object.entries(wishes).filter(([name]) => honoured.has(name))
      return Buffer.from(JSON.stringify({ ...body, ...Object.fromEntries(granted) }))
    },
  }
}
