import { describe, expect, it } from 'vitest'
import { ChatStore } from './chat.ts'
import type { Answer } from './conversation.ts'
import { ChatHistory } from './history.ts'
import { MemoryStorage } from './memory-storage.ts'
import { defaults } from './settings.ts'

/** A hub in the test's hand: each request waits until the test sends pieces or ends it. */
class Hub {
  requests: {
    body: { messages: { content: string }[] }
    aborted: boolean
    send(text: string): void
    end(): void
  }[] = []

  fetch: typeof fetch = async (_url, init) => {
    const signal = init?.signal as AbortSignal
    let controller!: ReadableStreamDefaultController<Uint8Array>
    const body = new ReadableStream<Uint8Array>({
      start: (c) => {
        controller = c
      },
    })
    const request = {
      body: JSON.parse(String(init?.body)),
      aborted: false,
      send: (text: string) => controller.enqueue(new TextEncoder().encode(text)),
      end: () => controller.close(),
    }
    signal.addEventListener('abort', () => {
      request.aborted = true
      controller.error(signal.reason)
    })
    this.requests.push(request)
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }
}

const text = (content: string, finish: string | null = null) =>
  `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: finish }] })}\n\n`
const done = `${text('', 'stop')}data: {"choices":[],"usage":{"prompt_tokens":2,"completion_tokens":7}}\n\ndata: [DONE]\n\n`
const settle = () => new Promise<void>((resolve) => setTimeout(resolve, 1))

function setup(storage = new MemoryStorage()) {
  const hub = new Hub()
  const clock = { ms: 0 }
  let ids = 0
  const effects = {
    fetch: hub.fetch,
    wait: async () => {},
    now: () => clock.ms,
    date: () => 1000 + clock.ms,
    newId: () => `id${ids++}-${storage.length}`,
    schedule: (draw: () => void) => draw(),
  }
  const store = new ChatStore(new ChatHistory(storage), effects)
  const texts = () => store.state.conversation.messages.map((message) => message.text)
  const last = () => store.state.conversation.messages.at(-1) as Answer
  return { hub, clock, store, storage, texts, last }
}

describe('the chat', () => {
  it('shows an answer as it comes and counts its speed', async () => {
    const { hub, clock, store, last } = setup()
    const sending = store.send('  hello ', 'm', defaults)
    expect(store.state.busy).toBe(true)
    expect(last()).toMatchObject({ state: 'waiting', text: '' })
    await settle()
    hub.requests[0]!.send(': loading 40 %\n\n')
    await settle()
    expect(last().loading).toMatchObject({ percent: 40 })
    clock.ms = 500
    hub.requests[0]!.send(text('Hi'))
    await settle()
    expect(last()).toMatchObject({ state: 'streaming', text: 'Hi', loading: null })
    clock.ms = 1500
    hub.requests[0]!.send(text(' there'))
    await settle()
    expect(last().speed).toMatchObject({ ttftS: 0.5, tokens: 2, exact: false, tokS: 1 })
    hub.requests[0]!.send(done)
    hub.requests[0]!.end()
    await sending
    expect(last()).toMatchObject({ state: 'done', text: 'Hi there', cut: false })
    expect(last().speed).toMatchObject({ ttftS: 0.5, cold: true, tokens: 7, exact: true, tokS: 6 })
    expect(store.state.busy).toBe(false)
    expect(hub.requests[0]!.body).toMatchObject({
      model: 'm',
      messages: [{ role: 'user', content: 'hello' }],
    })
    expect(hub.requests[0]!.body).not.toHaveProperty('temperature')
  })

  it('stops at the hub, keeps what arrived, and goes on from there', async () => {
    const { hub, store, last } = setup()
    const sending = store.send('hello', 'm', { ...defaults, system: 'S', temperature: 0, maxTokens: 5 })
    await settle()
    hub.requests[0]!.send(text('part'))
    await settle()
    store.stop()
    await sending
    expect(hub.requests[0]!.aborted).toBe(true)
    expect(hub.requests[0]!.body).toMatchObject({ temperature: 0, max_tokens: 5 })
    expect(last()).toMatchObject({ state: 'stopped', text: 'part', error: null })
    void store.send('more', 'm', defaults)
    await settle()
    expect(hub.requests[1]!.body.messages.map((message) => message.content)).toEqual([
      'hello',
      'part',
      'more',
    ])
    store.stop()
  })

  it('keeps the part of an answer whose stream broke, and asks again on demand', async () => {
    const { hub, store, last, texts } = setup()
    const sending = store.send('hello', 'm', defaults)
    await settle()
    hub.requests[0]!.send(text('part'))
    hub.requests[0]!.end()
    await sending
    expect(last()).toMatchObject({ state: 'failed', text: 'part', error: { code: 'stream_broken' } })
    const again = store.regenerate('m2', defaults)
    await settle()
    expect(hub.requests[1]!.body.messages.map((message) => message.content)).toEqual(['hello'])
    hub.requests[1]!.send(text('whole') + done)
    hub.requests[1]!.end()
    await again
    expect(texts()).toEqual(['hello', 'whole'])
    expect(last().model).toBe('m2')
  })

  it('takes one question at a time and no empty one', async () => {
    const { hub, store } = setup()
    await store.send('  \n', 'm', defaults)
    void store.send('one', 'm', defaults)
    void store.send('two', 'm', defaults)
    void store.regenerate('m', defaults)
    await settle()
    expect(hub.requests).toHaveLength(1)
    store.stop()
  })

  it('keeps chats, opens them again after a reload, and forgets them when told', async () => {
    const { hub, store, storage } = setup()
    const sending = store.send('first chat', 'm', defaults)
    await settle()
    hub.requests[0]!.send(text('yes') + done)
    hub.requests[0]!.end()
    await sending
    const reloaded = setup(storage)
    expect(reloaded.texts()).toEqual(['first chat', 'yes'])
    reloaded.store.newChat()
    expect(reloaded.texts()).toEqual([])
    expect(reloaded.store.state.chats.map((chat) => chat.title)).toEqual(['first chat'])
    reloaded.store.openChat(reloaded.store.state.chats[0]!.id)
    expect(reloaded.texts()).toEqual(['first chat', 'yes'])
    reloaded.store.clear()
    expect(reloaded.texts()).toEqual([])
    expect(storage.length).toBe(0)
  })

  it('lets a late piece change nothing once another chat is open', async () => {
    const { hub, store, texts } = setup()
    void store.send('old', 'm', defaults)
    await settle()
    hub.requests[0]!.send(text('half'))
    await settle()
    store.newChat()
    await settle()
    expect(hub.requests[0]!.aborted).toBe(true)
    expect(texts()).toEqual([])
    expect(store.state.busy).toBe(false)
    store.openChat(store.state.chats[0]!.id)
    expect(store.state.conversation.messages.at(-1)).toMatchObject({ text: 'half', state: 'stopped' })
  })

  it('does not bring a chat back that was removed while it streamed', async () => {
    const { hub, store, storage } = setup()
    void store.send('secret', 'm', defaults)
    await settle()
    hub.requests[0]!.send(text('half'))
    await settle()
    store.clear()
    await settle()
    expect(storage.length).toBe(0)
    expect(hub.requests[0]!.aborted).toBe(true)
  })

  it('says when the browser keeps nothing', async () => {
    const { store } = setup(new MemoryStorage(10))
    void store.send('hello', 'm', defaults)
    expect(store.state.kept).toBe(false)
    store.stop()
  })
})
