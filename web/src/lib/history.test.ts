import { describe, expect, it } from 'vitest'
import type { Conversation } from './conversation.ts'
import { ChatHistory, maxChatChars, maxChats } from './history.ts'
import { MemoryStorage } from './memory-storage.ts'

const chat = (id: string, updatedAt: number, ...texts: string[]): Conversation => ({
  id,
  updatedAt,
  messages: texts.map((text, n) => ({ id: `${id}${n}`, role: 'user', text })),
})

describe('the chats in this browser', () => {
  it('come back as they were, the newest first', () => {
    const storage = new MemoryStorage()
    const history = new ChatHistory(storage)
    history.save(chat('a', 1, 'first  question\nhere'))
    history.save(chat('b', 2, 'second'))
    expect(new ChatHistory(storage).list()).toEqual([
      { id: 'b', title: 'second', updatedAt: 2 },
      { id: 'a', title: 'first question here', updatedAt: 1 },
    ])
    expect(history.open('a')).toEqual(chat('a', 1, 'first  question\nhere'))
  })

  it('are bounded in number: the oldest go', () => {
    const history = new ChatHistory(new MemoryStorage())
    for (let n = 0; n < maxChats + 5; n++) history.save(chat(`c${n}`, n, 'x'))
    expect(history.list()).toHaveLength(maxChats)
    expect(history.list().at(-1)?.id).toBe('c5')
  })

  it('are bounded in size: the oldest messages go, the last one stays', () => {
    const history = new ChatHistory(new MemoryStorage())
    const long = 'y'.repeat(1000)
    history.save(chat('long', 1, ...Array.from({ length: 390 }, (_, n) => `${n} ${long}`)))
    const kept = history.open('long')!
    expect(JSON.stringify(kept).length).toBeLessThanOrEqual(maxChatChars)
    expect(kept.messages.at(-1)?.text).toBe(`389 ${long}`)
    history.save(chat('huge', 2, 'z'.repeat(3 * maxChatChars)))
    expect(JSON.stringify(history.open('huge')).length).toBeLessThanOrEqual(maxChatChars)
  })

  it('make room when the storage is full, and say so when even that is not enough', () => {
    const history = new ChatHistory(new MemoryStorage(3000))
    const big = 'x'.repeat(1000)
    expect(history.save(chat('a', 1, big))).toBe(true)
    expect(history.save(chat('b', 2, big))).toBe(true)
    expect(history.save(chat('c', 3, big))).toBe(true)
    expect(history.list().map((entry) => entry.id)).toEqual(['c', 'b'])
    expect(history.save(chat('d', 4, 'x'.repeat(4000)))).toBe(false)
  })

  it('leave other keys alone when cleared', () => {
    const storage = new MemoryStorage()
    storage.setItem('someone.else', '1')
    const history = new ChatHistory(storage)
    history.save(chat('a', 1, 'x'))
    history.clear()
    expect(history.list()).toEqual([])
    expect(storage.getItem('someone.else')).toBe('1')
  })

  it.each(['', '{', 'null', '[]', '{"id":1}', '{"id":"a","updatedAt":1,"messages":[{"role":"ghost"}]}'])(
    'survive a damaged entry: %s',
    (text) => {
      const storage = new MemoryStorage()
      storage.setItem('holon.chat.a', text)
      expect(new ChatHistory(storage).list()).toEqual([])
    },
  )

  it('do without a storage', () => {
    const history = new ChatHistory(null)
    expect(history.save(chat('a', 1, 'x'))).toBe(true)
    expect(history.list()).toEqual([])
    history.clear()
  })
})
