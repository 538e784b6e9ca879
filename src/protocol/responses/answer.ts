/** A response object and its output items, whole or in the making. */
import { type HolonError, toEnvelope } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import type { Finish, Spent } from '../openai/chat-answer.ts'
import type { ResponsesRequest } from './request.ts'

export type Status = 'in_progress' | 'completed' | 'incomplete' | 'failed'

export interface ReasoningItem {
  id: string
  type: 'reasoning'
  summary: object[]
  content: { type: 'reasoning_text'; text: string }[]
  status: Status
}

export interface MessageItem {
  id: string
  type: 'message'
  status: Status
  role: 'assistant'
  content: { type: 'output_text'; text: string; annotations: object[]; logprobs: unknown[] }[]
}

export interface CallItem {
  id: string
  type: 'function_call'
  status: Status
  call_id: string
  name: string
  arguments: string
}

export type OutputItem = ReasoningItem | MessageItem | CallItem

export function reasoningItem(text: string, status: Status): ReasoningItem {
  return {
    id: newId('rs'),
    type: 'reasoning',
    summary: [],
    content: [{ type: 'reasoning_text', text }],
    status,
  }
}

export function messageItem(text: string, logprobs: unknown[], status: Status): MessageItem {
  const content = [{ type: 'output_text' as const, text, annotations: [], logprobs }]
  return { id: newId('msg'), type: 'message', status, role: 'assistant', content }
}

export function callItem(callId: string, name: string, args: string, status: Status): CallItem {
  return {
    id: newId('fc'),
    type: 'function_call',
    status,
    call_id: callId || newId('call'),
    name,
    arguments: args,
  }
}

export class ResponseInTheMaking {
  readonly id = newId('resp')
  readonly output: OutputItem[] = []
  finish: Finish = 'stop'
  spent: Spent | null = null
  private readonly asked: ResponsesRequest
  private readonly createdS: number

  /** @param createdS seconds since the epoch */
  constructor(asked: ResponsesRequest, createdS: number) {
    this.asked = asked
    this.createdS = createdS
  }

  /** What it would be called if it ended now. */
  get ending(): 'completed' | 'incomplete' {
    return this.finish === 'length' || this.finish === 'content_filter' ? 'incomplete' : 'completed'
  }

  object(status: Status, error: HolonError | null = null) {
    const reason = this.finish === 'length' ? 'max_output_tokens' : 'content_filter'
    return {
      id: this.id,
      object: 'response',
      created_at: this.createdS,
      status,
      background: false,
      error: error === null ? null : { code: 'server_error', message: toEnvelope(error).error.message },
      incomplete_details: status === 'incomplete' ? { reason } : null,
      model: this.asked.model,
      ...this.asked.echo,
      output: status === 'in_progress' ? [] : this.output,
      usage: status === 'in_progress' || this.spent === null ? null : usageOf(this.spent),
    }
  }
}

function usageOf(spent: Spent): object {
  return {
    input_tokens: spent.promptTokens,
    input_tokens_details: { cached_tokens: spent.cachedTokens },
    output_tokens: spent.completionTokens,
    output_tokens_details: { reasoning_tokens: spent.reasoningTokens },
    total_tokens: spent.promptTokens + spent.completionTokens,
  }
}
