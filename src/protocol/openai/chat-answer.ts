/**
 * An engine's answer read into one plain form, whole or piece by piece: what every other dialect is made from. Engines
 * differ in small things (`reasoning_content` or `reasoning`, usage or timings), so the reading stands here once.
 */
import { HolonError } from '../../core/errors.ts'
import { isObject } from './checks.ts'

export type Finish = 'stop' | 'length' | 'tool_calls' | 'content_filter'

export interface ToolCall {
  id: string
  name: string
  /** JSON text, as the model wrote it. */
  arguments: string
}

/** What the answer took. Times in milliseconds, null when the engine does not tell. */
export interface Spent {
  promptTokens: number
  cachedTokens: number
  completionTokens: number
  reasoningTokens: number
  promptMs: number | null
  completionMs: number | null
}

export interface ChatAnswer {
  text: string
  reasoning: string
  refusal: string
  calls: ToolCall[]
  finish: Finish
  /** The stop string that ended it, for engines that tell (vLLM does). */
  stopText: string | null
  /** OpenAI's entries, one per token; null when none were asked for. */
  logprobs: unknown[] | null
  spent: Spent | null
}

export interface CallPiece {
  index: number
  /** Empty except in the first piece of a call. */
  id: string
  name: string
  arguments: string
}

/** One event of a stream: only what is new. */
export interface ChatPiece {
  text: string
  reasoning: string
  refusal: string
  calls: CallPiece[]
  finish: Finish | null
  stopText: string | null
  logprobs: unknown[] | null
  spent: Spent | null
}

export function alien(what: string): HolonError {
  return new HolonError('engine_failed', `The engine's answer cannot be read: ${what}.`, { source: 'engine' })
}

/** @throws HolonError engine_failed; never anything else. Also reads /v1/completions, whose text is `text`. */
export function readChatAnswer(value: unknown): ChatAnswer {
  if (!isObject(value)) throw alien('it is no object')
  const choice = firstChoice(value)
  if (choice === null) throw alien('it has no choices')
  const message = isObject(choice.message) ? choice.message : choice
  const calls = readCalls(message.tool_calls).map(({ id, name, arguments: args }) => {
    if (name === '') throw alien('a tool call has no name')
    return { id, name, arguments: args }
  })
  return {
    text: textOf(message.content) || textOf(choice.text),
    reasoning: textOf(message.reasoning_content) || textOf(message.reasoning),
    refusal: textOf(message.refusal),
    calls,
    finish: readFinish(choice.finish_reason) ?? 'stop',
    stopText: typeof choice.stop_reason === 'string' ? choice.stop_reason : null,
    logprobs: readLogprobs(choice.logprobs),
    spent: readSpent(value),
  }
}

/** @throws HolonError engine_failed; never anything else */
export function readChatPiece(value: unknown): ChatPiece {
  if (!isObject(value)) throw alien('an event is no object')
  const choice = firstChoice(value) ?? {}
  const delta = isObject(choice.delta) ? choice.delta : choice
  return {
    text: textOf(delta.content) || textOf(choice.text),
    reasoning: textOf(delta.reasoning_content) || textOf(delta.reasoning),
    refusal: textOf(delta.refusal),
    calls: readCalls(delta.tool_calls),
    finish: readFinish(choice.finish_reason),
    stopText: typeof choice.stop_reason === 'string' ? choice.stop_reason : null,
    logprobs: readLogprobs(choice.logprobs),
    spent: readSpent(value),
  }
}

/**
 * A call's arguments as an object. A call cut short by the token limit is no JSON: the caller gets what there is, under a
 * name that says so.
 */
export function parsedArguments(written: string): object {
  if (written.trim() === '') return {}
  try {
    const parsed: unknown = JSON.parse(written)
    if (isObject(parsed)) return parsed
  } catch {
    // Below.
  }
  return { invalid_json: written }
}

/** Vectors in the order of the inputs. @throws HolonError engine_failed */
export function readEmbeddings(value: unknown): { vectors: number[][]; promptTokens: number } {
  if (!isObject(value) || !Array.isArray(value.data)) throw alien('it holds no embeddings')
  const vectors: number[][] = []
  for (const [place, row] of value.data.entries()) {
    if (!isObject(row) || !Array.isArray(row.embedding)) throw alien('an embedding is no array of numbers')
    const index = count(row.index) ?? place
    if (index >= value.data.length) throw alien('an embedding has a place that was not asked for')
    vectors[index] = row.embedding as number[]
  }
  return { vectors, promptTokens: readSpent(value)?.promptTokens ?? 0 }
}

function firstChoice(value: Record<string, unknown>): Record<string, unknown> | null {
  if (!Array.isArray(value.choices)) return null
  const first: unknown = value.choices[0]
  return isObject(first) ? first : null
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function readCalls(value: unknown): CallPiece[] {
  if (!Array.isArray(value)) return []
  return value.map((call: unknown, place) => {
    if (!isObject(call) || !isObject(call.function)) throw alien('a tool call has no function')
    const { name, arguments: args } = call.function
    return {
      index: count(call.index) ?? place,
      id: textOf(call.id),
      name: textOf(name),
      // Some engines send the arguments as an object, though the text of one is agreed on.
      arguments: isObject(args) ? JSON.stringify(args) : textOf(args),
    }
  })
}

function readFinish(value: unknown): Finish | null {
  if (typeof value !== 'string') return null
  if (value === 'function_call') return 'tool_calls'
  if (value === 'length' || value === 'tool_calls' || value === 'content_filter') return value
  return 'stop'
}

function readLogprobs(value: unknown): unknown[] | null {
  return isObject(value) && Array.isArray(value.content) ? value.content : null
}

function readSpent(value: Record<string, unknown>): Spent | null {
  const usage = isObject(value.usage) ? value.usage : null
  const timings = isObject(value.timings) ? value.timings : null
  if (usage === null && timings === null) return null
  const cached =
    count(member(usage, 'prompt_tokens_details', 'cached_tokens')) ?? count(timings?.cache_n) ?? 0
  const promptN = count(timings?.prompt_n)
  const promptTokens = count(usage?.prompt_tokens) ?? (promptN === null ? 0 : promptN + cached)
  return {
    promptTokens,
    cachedTokens: Math.min(cached, promptTokens),
    completionTokens: count(usage?.completion_tokens) ?? count(timings?.predicted_n) ?? 0,
    reasoningTokens: count(member(usage, 'completion_tokens_details', 'reasoning_tokens')) ?? 0,
    promptMs: span(timings?.prompt_ms),
    completionMs: span(timings?.predicted_ms),
  }
}

function member(holder: Record<string, unknown> | null, name: string, inner: string): unknown {
  const details = holder?.[name]
  return isObject(details) ? details[inner] : undefined
}

function count(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? Math.round(value) : null
}

function span(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null
}
