/** An answer in Anthropic's words: the message, and what both the whole and the streamed form need. */
import { newId } from '../../core/ids.ts'
import {
  type ChatAnswer,
  type Finish,
  parsedArguments,
  readChatAnswer,
  type Spent,
  type ToolCall,
} from '../openai/chat-answer.ts'
import type { AnthropicRequest } from './request.ts'

export type StopReason = 'end_turn' | 'max_tokens' | 'stop_sequence' | 'tool_use' | 'refusal'

export interface Usage {
  input_tokens: number
  cache_creation_input_tokens: number
  cache_read_input_tokens: number
  output_tokens: number
  server_tool_use: null
  service_tier: null
}

export function wholeMessage(asked: AnthropicRequest, answer: unknown): object {
  const read = readChatAnswer(answer)
  return {
    ...emptyMessage(asked.model),
    content: contentOf(asked, read),
    ...stopOf(asked, read.finish, read.stopText, read.calls.length > 0),
    usage: usageOf(read.spent),
  }
}

export function emptyMessage(model: string) {
  return {
    id: newId('msg'),
    type: 'message',
    role: 'assistant',
    model,
    content: [] as object[],
    stop_reason: null as StopReason | null,
    stop_sequence: null as string | null,
    stop_details: null,
    container: null,
    usage: usageOf(null),
  }
}

function contentOf(asked: AnthropicRequest, answer: ChatAnswer): object[] {
  const content: object[] = []
  if (asked.showThinking && answer.reasoning !== '') {
    content.push({ type: 'thinking', thinking: answer.reasoning, signature: '' })
  }
  const said = answer.text || answer.refusal
  if (said !== '') content.push({ type: 'text', text: said })
  for (const call of answer.calls) content.push(toolUse(call))
  return content
}

function toolUse(call: ToolCall): object {
  return {
    type: 'tool_use',
    id: call.id || newId('toolu'),
    name: call.name,
    input: parsedArguments(call.arguments),
  }
}

/** A call that was cut by max_tokens stays `max_tokens`: its input is not whole. */
export function stopOf(
  asked: AnthropicRequest,
  finish: Finish,
  stopText: string | null,
  called: boolean,
): { stop_reason: StopReason; stop_sequence: string | null } {
  if (finish === 'length') return { stop_reason: 'max_tokens', stop_sequence: null }
  if (finish === 'content_filter') return { stop_reason: 'refusal', stop_sequence: null }
  if (called || finish === 'tool_calls') return { stop_reason: 'tool_use', stop_sequence: null }
  if (stopText !== null && asked.stopSequences.includes(stopText)) {
    return { stop_reason: 'stop_sequence', stop_sequence: stopText }
  }
  return { stop_reason: 'end_turn', stop_sequence: null }
}

/** Anthropic counts what came from the cache apart from `input_tokens`. */
export function usageOf(spent: Spent | null): Usage {
  const cached = spent?.cachedTokens ?? 0
  return {
    input_tokens: (spent?.promptTokens ?? 0) - cached,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: cached,
    output_tokens: spent?.completionTokens ?? 0,
    server_tool_use: null,
    service_tier: null,
  }
}
