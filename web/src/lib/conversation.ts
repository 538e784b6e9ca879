/** What one chat is made of, and how it becomes the messages of a request. */
import type { LoadProgress } from '../../../src/protocol/model.ts'
import type { AnswerSpeed } from './answer-speed.ts'
import { isRecord } from './api.ts'
import type { ChatMessage } from './completion.ts'

export interface UserMessage {
  id: string
  role: 'user'
  text: string
}

export type AnswerState = 'waiting' | 'streaming' | 'done' | 'stopped' | 'failed'

export interface Answer {
  id: string
  role: 'assistant'
  model: string
  text: string
  /** What a reasoning model thought first; empty when it did not. */
  thinking: string
  state: AnswerState
  /** Set while the model is loading for this answer. */
  loading: LoadProgress | null
  /** What the hub says goes on before the first token. */
  note: string | null
  error: { message: string; code: string | null } | null
  /** True when the answer ended at the token limit, not by itself. */
  cut: boolean
  speed: AnswerSpeed | null
}

export type Message = UserMessage | Answer

export interface Conversation {
  id: string
  /** Milliseconds since 1970. */
  updatedAt: number
  messages: Message[]
}

export const maxMessages = 400

/** The first words the person wrote, for a list of chats. */
export function titleOf(conversation: Conversation): string {
  const first = conversation.messages.find((message) => message.role === 'user')
  const words = (first?.text ?? '').trim().replace(/\s+/g, ' ')
  return words.length > 80 ? `${words.slice(0, 79)}…` : words || 'Empty chat'
}

/**
 * The request's messages. A question that got no word of an answer is left out once another follows: it may be the
 * very one that was too long. What then stands side by side is joined, for many chat templates demand taking turns.
 */
export function toRequestMessages(messages: Message[], systemPrompt: string): ChatMessage[] {
  const request: ChatMessage[] = []
  if (systemPrompt.trim() !== '') request.push({ role: 'system', content: systemPrompt.trim() })
  const silent = (message: Message | undefined) => message?.role === 'assistant' && message.text.trim() === ''
  messages.forEach((message, index) => {
    if (silent(message) || silent(messages[index + 1])) return
    const last = request.at(-1)
    if (last?.role === message.role) last.content += `\n\n${message.text}`
    // Where old messages were forgotten, an answer may come first, without its question.
    else if (message.role === 'user' || last?.role === 'user') {
      request.push({ role: message.role, content: message.text })
    }
  })
  return request
}

/** A chat from storage, or null when it is not one: another version or another program may have written it. */
export function readConversation(value: unknown): Conversation | null {
  if (!isRecord(value) || typeof value.id !== 'string' || typeof value.updatedAt !== 'number') return null
  if (!Array.isArray(value.messages)) return null
  const messages = value.messages.slice(-maxMessages).map(readMessage)
  if (messages.some((message) => message === null)) return null
  return { id: value.id, updatedAt: value.updatedAt, messages: messages as Message[] }
}

function readMessage(value: unknown): Message | null {
  if (!isRecord(value) || typeof value.id !== 'string' || typeof value.text !== 'string') return null
  if (value.role === 'user') return { id: value.id, role: 'user', text: value.text }
  if (value.role !== 'assistant') return null
  const error = isRecord(value.error) && typeof value.error.message === 'string' ? value.error : null
  const state = value.state === 'done' || value.state === 'failed' ? value.state : 'stopped'
  return {
    id: value.id,
    role: 'assistant',
    model: typeof value.model === 'string' ? value.model : '',
    text: value.text,
    thinking: typeof value.thinking === 'string' ? value.thinking : '',
    // What was still streaming when the page closed has stopped.
    state,
    loading: null,
    note: null,
    error: error
      ? { message: String(error.message), code: typeof error.code === 'string' ? error.code : null }
      : null,
    cut: value.cut === true,
    speed: readSpeed(value.speed),
  }
}

function readSpeed(value: unknown): AnswerSpeed | null {
  if (!isRecord(value) || typeof value.tokens !== 'number') return null
  return {
    ttftS: typeof value.ttftS === 'number' ? value.ttftS : null,
    cold: value.cold === true,
    tokens: value.tokens,
    exact: value.exact === true,
    tokS: typeof value.tokS === 'number' ? value.tokS : null,
  }
}

/** Some engines leave a reasoning model's `<think>` in the text. Splits it off, closed or not. */
export function splitThinking(answer: Answer): { thinking: string; text: string; stillThinking: boolean } {
  const open = /^\s*<think>\n?/.exec(answer.text)
  if (!open) {
    const stillThinking = answer.state === 'streaming' && answer.text === '' && answer.thinking !== ''
    return { thinking: answer.thinking, text: answer.text, stillThinking }
  }
  const close = answer.text.indexOf('</think>')
  if (close < 0) {
    const thinking = answer.text.slice(open[0].length)
    return { thinking, text: '', stillThinking: answer.state === 'streaming' }
  }
  return {
    thinking: answer.text.slice(open[0].length, close),
    text: answer.text.slice(close + '</think>'.length).trimStart(),
    stillThinking: false,
  }
}
