/**
 * The chat: asks, streams, stops, asks again, and keeps what was said. A plain store (Svelte's contract: `subscribe`)
 * whose only ways out are the effects given to it, so that tests drive it without a browser.
 */

import { AnswerMeter } from './answer-speed.ts'
import { ApiError, isAbort } from './api.ts'
import { type CompletionEffects, streamAnswer } from './completion.ts'
import {
  type Answer,
  type Conversation,
  type Message,
  maxMessages,
  toRequestMessages,
} from './conversation.ts'
import type { ChatHistory, ChatListEntry } from './history.ts'
import type { Settings } from './settings.ts'

export interface ChatEffects extends CompletionEffects {
  /** Milliseconds, monotonic. */
  now(): number
  /** Milliseconds since 1970. */
  date(): number
  newId(): string
  /** Runs the draw soon, at most once per frame. */
  schedule(draw: () => void): void
}

export interface ChatState {
  conversation: Conversation
  busy: boolean
  chats: ChatListEntry[]
  /** False once the browser refused to keep the chat. */
  kept: boolean
}

/** While an answer streams, the chat is kept at most this often. */
const saveEveryMs = 1000

export class ChatStore {
  #effects: ChatEffects
  #history: ChatHistory
  #conversation: Conversation
  #abort: AbortController | null = null
  #kept = true
  #savedMs = 0
  #chats: ChatListEntry[]
  #drawing = false
  #listeners = new Set<(state: ChatState) => void>()

  constructor(history: ChatHistory, effects: ChatEffects) {
    this.#effects = effects
    this.#history = history
    this.#chats = history.list()
    this.#conversation = this.#open(this.#chats[0]?.id) ?? this.#empty()
  }

  get state(): ChatState {
    return {
      conversation: this.#conversation,
      busy: this.#abort !== null,
      chats: this.#chats,
      kept: this.#kept,
    }
  }

  subscribe(listener: (state: ChatState) => void): () => void {
    this.#listeners.add(listener)
    listener(this.state)
    return () => this.#listeners.delete(listener)
  }

  /** Resolves when the answer ended, however it did. Does nothing while another answer is under way. */
  async send(text: string, model: string, settings: Settings): Promise<void> {
    if (this.#abort || text.trim() === '') return
    this.#set([
      ...this.#conversation.messages,
      { id: this.#effects.newId(), role: 'user', text: text.trim() },
    ])
    await this.#answer(model, settings)
  }

  /** Asks for the last answer anew; the one there is gives way. */
  async regenerate(model: string, settings: Settings): Promise<void> {
    if (this.#abort) return
    const { messages } = this.#conversation
    const kept = messages.at(-1)?.role === 'assistant' ? messages.slice(0, -1) : messages
    if (kept.at(-1)?.role !== 'user') return
    this.#set(kept)
    await this.#answer(model, settings)
  }

  /** Ends the request at the hub, too. What arrived stays. */
  stop(): void {
    this.#abort?.abort()
  }

  newChat(): void {
    this.#leave()
    this.#conversation = this.#empty()
    this.#draw()
  }

  openChat(id: string): void {
    if (id === this.#conversation.id) return
    this.#leave()
    this.#conversation = this.#open(id) ?? this.#empty()
    this.#draw()
  }

  removeChat(id: string): void {
    this.#history.remove(id)
    this.#chats = this.#history.list()
    if (id === this.#conversation.id) {
      this.stop()
      this.#abort = null
      this.#conversation = this.#empty()
    }
    this.#draw()
  }

  /** Forgets every chat in this browser. */
  clear(): void {
    this.#history.clear()
    this.removeChat(this.#conversation.id)
  }

  /** Another tab may have changed the list. */
  refreshList(): void {
    this.#chats = this.#history.list()
    this.#draw()
  }

  /** For the page's last moment: what streams now is kept as far as it came. */
  flush(): void {
    if (this.#abort) this.#save()
  }

  async #answer(model: string, settings: Settings): Promise<void> {
    const abort = new AbortController()
    this.#abort = abort
    const chat = this.#conversation.id
    const meter = new AnswerMeter(this.#effects.now)
    const question = this.#conversation.messages
    let answer: Answer = {
      id: this.#effects.newId(),
      role: 'assistant',
      model,
      text: '',
      thinking: '',
      state: 'waiting',
      loading: null,
      note: null,
      error: null,
      cut: false,
      speed: null,
    }
    /** Late pieces of an answer whose chat was left or removed change nothing. */
    const here = (): boolean => this.#abort === abort && this.#conversation.id === chat
    const change = (changes: Partial<Answer>): void => {
      if (!here()) return
      answer = { ...answer, ...changes }
      this.#conversation = { ...this.#conversation, messages: [...question, answer] }
      this.#drawSoon()
    }
    const piece = (changes: Partial<Answer>): void => {
      meter.chunk()
      change({ ...changes, state: 'streaming', loading: null, note: null, speed: meter.read() })
      if (here() && this.#effects.now() - this.#savedMs > saveEveryMs) this.#keep()
    }
    change({})
    this.#save()
    let end: Partial<Answer> = { state: 'done' }
    try {
      await streamAnswer(
        {
          model,
          messages: toRequestMessages(question, settings.system),
          ...(settings.temperature === null ? {} : { temperature: settings.temperature }),
          ...(settings.maxTokens === null ? {} : { max_tokens: settings.maxTokens }),
        },
        {
          onLoading: (loading) => {
            if (answer.state !== 'waiting') return
            meter.loading()
            change({ loading })
          },
          onWaiting: (note) => {
            if (answer.state === 'waiting') change({ loading: null, note })
          },
          onText: (text) => piece({ text: answer.text + text }),
          onThinking: (text) => piece({ thinking: answer.thinking + text }),
          onUsage: (usage) => meter.usage(usage.completionTokens),
          onFinish: (reason) => change({ cut: reason === 'length' }),
        },
        abort.signal,
        this.#effects,
      )
    } catch (thrown) {
      end = ending(thrown)
    }
    if (!here()) return
    change({ ...end, loading: null, note: null, speed: meter.read() })
    this.#abort = null
    this.#save()
    this.#draw()
  }

  #set(messages: Message[]): void {
    this.#conversation = { ...this.#conversation, messages: messages.slice(-maxMessages) }
  }

  /** Stops what streams and keeps it as stopped, before another chat takes its place. */
  #leave(): void {
    if (!this.#abort) return
    this.#abort.abort()
    this.#abort = null
    this.#conversation = {
      ...this.#conversation,
      messages: this.#conversation.messages.map((message) =>
        message.role === 'assistant' && (message.state === 'waiting' || message.state === 'streaming')
          ? { ...message, state: 'stopped', loading: null, note: null }
          : message,
      ),
    }
    this.#save()
  }

  #empty(): Conversation {
    return { id: this.#effects.newId(), updatedAt: this.#effects.date(), messages: [] }
  }

  #open(id: string | undefined): Conversation | null {
    return id === undefined ? null : this.#history.open(id)
  }

  #keep(): void {
    this.#savedMs = this.#effects.now()
    this.#conversation = { ...this.#conversation, updatedAt: this.#effects.date() }
    this.#kept = this.#history.save(this.#conversation)
  }

  #save(): void {
    this.#keep()
    this.#chats = this.#history.list()
  }

  #drawSoon(): void {
    if (this.#drawing) return
    this.#drawing = true
    this.#effects.schedule(() => this.#draw())
  }

  #draw(): void {
    this.#drawing = false
    const { state } = this
    for (const listener of this.#listeners) listener(state)
  }
}

function ending(thrown: unknown): Partial<Answer> {
  if (isAbort(thrown)) return { state: 'stopped' }
  const error =
    thrown instanceof ApiError
      ? { message: thrown.message, code: thrown.code }
      : { message: thrown instanceof Error ? thrown.message : String(thrown), code: null }
  return { state: 'failed', error }
}
