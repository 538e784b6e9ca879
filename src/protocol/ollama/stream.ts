/**
 * An answer in Ollama's words: one JSON object, or one per line. A tool call is told when it is whole, since its
 * arguments are an object here; the last line has the counts and the durations.
 */
import type { HolonError } from '../../core/errors.ts'
import {
  alien,
  type CallPiece,
  type Finish,
  parsedArguments,
  readChatAnswer,
  readChatPiece,
  readEmbeddings,
  type Spent,
  type ToolCall,
} from '../openai/chat-answer.ts'
import type { AnswerTeller } from '../translation.ts'
import { errorBody } from './errors.ts'
import type { OllamaRequest } from './request.ts'

/** When things happened. Milliseconds on one monotonic clock, and the wall clock for `created_at`. */
export interface Times {
  startedAt: number
  now(): number
  wall(): number
}

interface Said {
  text: string
  reasoning: string
  calls: ToolCall[]
  logprobs: unknown[] | null
}

const nothing: Said = { text: '', reasoning: '', calls: [], logprobs: null }

export class OllamaTeller implements AnswerTeller {
  readonly streamType = 'application/x-ndjson'
  private readonly asked: OllamaRequest
  private readonly times: Times
  private sentAt: number | null = null
  private firstAt: number | null = null
  /** The call whose arguments are still coming. */
  private call: (ToolCall & { index: number }) | null = null
  private calls = 0
  private finish: Finish = 'stop'
  private spent: Spent | null = null

  constructor(asked: OllamaRequest, times: Times) {
    this.asked = asked
    this.times = times
  }

  sent(): void {
    this.sentAt = this.times.now()
  }

  whole(answer: unknown): object {
    if (this.asked.kind === 'embed' || this.asked.kind === 'embeddings') return this.vectors(answer)
    const read = readChatAnswer(answer)
    const { text, refusal, reasoning, calls, logprobs, spent } = read
    this.firstAt = this.times.now()
    return {
      ...this.head(),
      ...this.content({ text: text || refusal, reasoning, calls, logprobs }),
      ...this.tail(read.finish, spent),
    }
  }

  piece(event: unknown): string {
    const piece = readChatPiece(event)
    this.firstAt ??= this.times.now()
    let out = ''
    for (const call of piece.calls) out += this.collect(call)
    const text = piece.text || piece.refusal
    const reasoning = this.asked.showThinking ? piece.reasoning : ''
    if (text !== '' || reasoning !== '') {
      out += this.line({
        ...this.content({ text, reasoning, calls: [], logprobs: piece.logprobs }),
        done: false,
      })
    }
    if (piece.finish !== null) this.finish = piece.finish
    this.spent = piece.spent ?? this.spent
    return out
  }

  end(): string {
    return this.flushCall() + this.line({ ...this.content(nothing), ...this.tail(this.finish, this.spent) })
  }

  /** There are no comments in lines of JSON; a piece that says nothing is what Ollama's clients skip. */
  keepAlive(): string {
    return this.line({ ...this.content(nothing), done: false })
  }

  broken(error: HolonError): string {
    return `${JSON.stringify(errorBody(error))}\n`
  }

  /** The answer to a request that only loads or unloads. */
  moved(reason: 'load' | 'unload'): object {
    return { ...this.head(), ...this.content(nothing), done: true, done_reason: reason }
  }

  private collect(call: CallPiece): string {
    if (this.call !== null && call.index === this.call.index) {
      this.call.arguments += call.arguments
      return ''
    }
    if (call.name === '') throw alien('a tool call begins without a name')
    const before = this.flushCall()
    this.call = { ...call }
    return before
  }

  private flushCall(): string {
    if (this.call === null) return ''
    const { id, name, arguments: args } = this.call
    this.call = null
    return this.line({ ...this.content({ ...nothing, calls: [{ id, name, arguments: args }] }), done: false })
  }

  private line(fields: object): string {
    return `${JSON.stringify({ ...this.head(), ...fields })}\n`
  }

  private head() {
    return { model: this.asked.model, created_at: new Date(this.times.wall()).toISOString() }
  }

  private content(said: Said): object {
    const { text, calls, logprobs } = said
    const thinking = this.asked.showThinking && said.reasoning !== '' ? { thinking: said.reasoning } : {}
    const probable = logprobs === null ? {} : { logprobs }
    if (this.asked.kind === 'generate') return { response: text, ...thinking, ...probable }
    const tool_calls = calls.map((call) => ({
      id: call.id || `call_${this.calls}`,
      function: { index: this.calls++, name: call.name, arguments: parsedArguments(call.arguments) },
    }))
    const made = tool_calls.length > 0 ? { tool_calls } : {}
    return { message: { role: 'assistant', content: text, ...thinking, ...made }, ...probable }
  }

  private tail(finish: Finish, spent: Spent | null): object {
    const now = this.times.now()
    const sentAt = this.sentAt ?? this.times.startedAt
    const firstAt = this.firstAt ?? now
    return {
      done: true,
      done_reason: finish === 'length' ? 'length' : 'stop',
      total_duration: nanoseconds(now - this.times.startedAt),
      load_duration: nanoseconds(sentAt - this.times.startedAt),
      prompt_eval_count: spent?.promptTokens ?? 0,
      prompt_eval_duration: nanoseconds(spent?.promptMs ?? firstAt - sentAt),
      eval_count: spent?.completionTokens ?? 0,
      eval_duration: nanoseconds(spent?.completionMs ?? now - firstAt),
    }
  }

  private vectors(answer: unknown): object {
    const { vectors, promptTokens } = readEmbeddings(answer)
    if (this.asked.kind === 'embeddings') return { embedding: vectors[0] ?? [] }
    const { startedAt, now } = this.times
    return {
      model: this.asked.model,
      embeddings: vectors,
      total_duration: nanoseconds(now() - startedAt),
      load_duration: nanoseconds((this.sentAt ?? startedAt) - startedAt),
      prompt_eval_count: promptTokens,
    }
  }
}

function nanoseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1e6))
}
