/**
 * What a request asks of a model, read off its parsed body: its size, what it needs the model to be able to do, whether it
 * looks hard, and hashes of how its prompt begins. Nothing of the text is kept. Pure.
 */

import { isObject } from '../../protocol/openai/checks.ts'
import type { OpenAiRequest } from '../../protocol/openai/index.ts'
import type { Size } from './predict-finish.ts'
import { PrefixHasher } from './prefix-memory.ts'

export interface Demand extends Size {
  endpoint: OpenAiRequest['endpoint']
  /** Parameters the engine must honour, and media it must read, by their OpenAI names. */
  needs: readonly string[]
  tools: boolean
  /** An answer in a given form: `json_schema` or a grammar. */
  form: boolean
  reasoning: boolean
  /** Hashes of its beginning, see PrefixHasher; empty for a short prompt. */
  blocks: readonly number[]
  /** Hash of the caller's session; 0 without one. */
  session: number
}

/** A question that is no answer: which model is meant, where it is. */
export const nothingMore: Demand = {
  endpoint: 'chat',
  bytes: 32,
  maxTokens: 1,
  generates: true,
  needs: [],
  tools: false,
  form: false,
  reasoning: false,
  blocks: [],
  session: 0,
}

type Body = Record<string, unknown>

/**
 * @param bytes of the body as it came; 0 when it did not say
 * @param session the caller's own name for the conversation
 */
export function readDemand(
  request: OpenAiRequest,
  body: Body,
  bytes: number,
  session: string | undefined,
  key: readonly [number, number],
): Demand {
  const { endpoint } = request
  const hasher = new PrefixHasher(key)
  const chars = endpoint === 'embedding' ? 0 : readPrompt(body, hasher)
  const hasTools = Array.isArray(body.tools) && body.tools.length > 0
  return {
    endpoint,
    bytes: request.media.length > 0 || bytes === 0 ? Math.max(chars, 32) : bytes,
    maxTokens: limitOf(body),
    generates: endpoint !== 'embedding',
    needs: request.media.length === 0 ? request.asked : [...request.asked, ...request.media],
    tools: hasTools,
    form: hasForm(body),
    reasoning: asksToReason(body),
    blocks: hasher.blocks,
    session: session === undefined || session === '' ? 0 : sessionHash(session, key),
  }
}

function sessionHash(session: string, key: readonly [number, number]): number {
  const hasher = new PrefixHasher(key)
  hasher.feed(`session ${session.slice(0, 200)}`)
  return hasher.digest
}

function limitOf(body: Body): number | null {
  const limits = [body.max_tokens, body.max_completion_tokens].filter((limit) => typeof limit === 'number')
  return limits.length === 0 ? null : Math.max(1, Math.min(...limits))
}

function hasForm(body: Body): boolean {
  const { response_format: format, grammar, json_schema } = body
  return (isObject(format) && format.type === 'json_schema') || grammar != null || json_schema != null
}

function asksToReason(body: Body): boolean {
  const { reasoning_effort: effort, chat_template_kwargs: more } = body
  if (effort === 'medium' || effort === 'high' || effort === 'xhigh') return true
  return isObject(more) && more.enable_thinking === true
}

/** Feeds the prompt in the order a template lays it out: tools first. @returns its characters */
function readPrompt(body: Body, hasher: PrefixHasher): number {
  const { messages, prompt, tools } = body
  if (Array.isArray(tools)) for (const tool of tools) readTool(tool, hasher)
  if (typeof prompt === 'string') {
    hasher.feed(prompt)
    return prompt.length
  }
  let chars = 0
  if (Array.isArray(messages)) {
    for (const message of messages) if (isObject(message)) chars += readMessage(message, hasher)
  }
  return chars
}

function readTool(tool: unknown, hasher: PrefixHasher): void {
  const named = isObject(tool) && isObject(tool.function) ? tool.function : null
  if (named === null) return
  hasher.feed(`tool ${String(named.name)}`)
  if (typeof named.description === 'string') hasher.feed(named.description)
}

function readMessage({ role, content, tool_calls: calls }: Body, hasher: PrefixHasher): number {
  hasher.feed(`\n${String(role)}\n`)
  let chars = 16
  const read = (text: unknown): void => {
    if (typeof text !== 'string') return
    chars += text.length
    if (!hasher.isFull) hasher.feed(text)
  }
  read(content)
  if (Array.isArray(content)) for (const part of content) if (isObject(part)) read(part.text)
  if (Array.isArray(calls)) {
    for (const call of calls) if (isObject(call) && isObject(call.function)) read(call.function.arguments)
  }
  return chars
}
