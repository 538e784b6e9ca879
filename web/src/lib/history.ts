/**
 * Chats kept in this browser, one storage key each, so that two tabs with two chats do not overwrite one another.
 * Bounded in number and size; a storage that is full, forbidden or damaged never breaks the page.
 */
import { type Conversation, maxMessages, readConversation, titleOf } from './conversation.ts'

export interface ChatListEntry {
  id: string
  title: string
  updatedAt: number
}

const prefix = 'holon.chat.'
export const maxChats = 20
/** Characters of one chat as JSON. Storage holds about 5 million in all. */
export const maxChatChars = 200_000

export class ChatHistory {
  #storage: Storage | null

  /** @param storage null where the browser allows none: nothing is kept then. */
  constructor(storage: Storage | null) {
    this.#storage = storage
  }

  /** All chats, the newest first. Damaged ones are left out. */
  all(): Conversation[] {
    return this.#ids()
      .map((id) => this.open(id))
      .filter((chat) => chat !== null)
      .sort((a, b) => b.updatedAt - a.updatedAt)
  }

  list(): ChatListEntry[] {
    return this.all().map((chat) => ({ id: chat.id, title: titleOf(chat), updatedAt: chat.updatedAt }))
  }

  open(id: string): Conversation | null {
    try {
      return readConversation(JSON.parse(this.#storage?.getItem(prefix + id) ?? 'null'))
    } catch {
      return null
    }
  }

  /** Returns false when the browser would not keep it. Makes room by forgetting the oldest chats. */
  save(chat: Conversation): boolean {
    if (!this.#storage || chat.messages.length === 0) return true
    const text = bounded(chat)
    // Reading all the others is costly, and saving happens while an answer streams: only when room is short.
    if (this.#ids().length >= maxChats) this.#forgetOldest(chat.id, maxChats - 1)
    for (;;) {
      try {
        this.#storage.setItem(prefix + chat.id, text)
        return true
      } catch {
        const others = this.#ids().filter((id) => id !== chat.id).length
        if (others === 0) return false
        this.#forgetOldest(chat.id, others - 1)
      }
    }
  }

  /** Damaged chats count as the oldest. */
  #forgetOldest(except: string, keep: number): void {
    const others = this.#ids()
      .filter((id) => id !== except)
      .map((id) => ({ id, updatedAt: this.open(id)?.updatedAt ?? 0 }))
      .sort((a, b) => b.updatedAt - a.updatedAt)
    for (const oldest of others.slice(keep)) this.remove(oldest.id)
  }

  remove(id: string): void {
    try {
      this.#storage?.removeItem(prefix + id)
    } catch {
      // Nothing kept, nothing to remove.
    }
  }

  clear(): void {
    for (const id of this.#ids()) this.remove(id)
  }

  #ids(): string[] {
    try {
      return Object.keys(this.#storage ?? {})
        .filter((key) => key.startsWith(prefix))
        .map((key) => key.slice(prefix.length))
    } catch {
      return []
    }
  }
}

/** The chat as JSON without its oldest messages, as many as it takes. The last two always stay, shortened if need be. */
function bounded(chat: Conversation): string {
  let messages = chat.messages.slice(-maxMessages)
  let text = JSON.stringify({ ...chat, messages })
  while (text.length > maxChatChars && messages.length > 2) {
    messages = messages.slice(Math.max(1, Math.floor(messages.length / 4)))
    if (messages.length < 2) messages = chat.messages.slice(-2)
    text = JSON.stringify({ ...chat, messages })
  }
  if (text.length <= maxChatChars) return text
  const shortened = messages.map((message) => ({ ...message, text: message.text.slice(0, maxChatChars / 8) }))
  return JSON.stringify({
    ...chat,
    messages: shortened.map((message) => ('thinking' in message ? { ...message, thinking: '' } : message)),
  })
}
