/**
 * Server-sent events from a fetch response. EventSource can neither POST nor show comments, and the hub speaks
 * in comments while a model loads, so both the answers and the fleet's events are read with this parser.
 */

export interface SseEvent {
  /** `message` when the server named none. */
  event: string
  data: string
}

export interface SseHandlers {
  onEvent(event: SseEvent): void
  onComment?(text: string): void
}

/** One event may not grow past this many characters: a server gone wrong must not eat the tab's memory. */
export const maxEventChars = 8 * 1024 * 1024

/** Takes text in pieces of any size, cut anywhere, and calls back per event and per comment. */
export class SseParser {
  #handlers: SseHandlers
  #rest = ''
  #event = ''
  #data: string[] = []
  #size = 0
  #skipLineFeed = false
  #atStart = true

  constructor(handlers: SseHandlers) {
    this.#handlers = handlers
  }

  /** @throws Error when one event exceeds `maxEventChars`. */
  push(piece: string): void {
    let text = piece
    if (text === '') return
    if (this.#atStart) {
      this.#atStart = false
      if (text.startsWith('\uFEFF')) text = text.slice(1)
    }
    // A CRLF may be cut between its two characters; the LF then ends nothing.
    if (this.#skipLineFeed && text.startsWith('\n')) text = text.slice(1)
    this.#skipLineFeed = false

    let from = 0
    for (const end of lineEnds(text)) {
      this.#line(this.#rest + text.slice(from, end.at))
      this.#rest = ''
      from = end.next
    }
    this.#rest += text.slice(from)
    this.#skipLineFeed = text.endsWith('\r')
    if (this.#rest.length + this.#size > maxEventChars) {
      throw new Error(`The server sent one event of more than ${maxEventChars} characters.`)
    }
  }

  #line(line: string): void {
    const colon = line.indexOf(':')
    if (line === '') {
      this.#dispatch()
    } else if (colon === 0) {
      this.#handlers.onComment?.(line.slice(1).trim())
    } else {
      const raw = colon < 0 ? '' : line.slice(colon + 1)
      this.#field(colon < 0 ? line : line.slice(0, colon), raw.startsWith(' ') ? raw.slice(1) : raw)
    }
  }

  #field(name: string, value: string): void {
    if (name === 'data') {
      this.#data.push(value)
      this.#size += value.length
    } else if (name === 'event') {
      this.#event = value
    }
  }

  #dispatch(): void {
    const event = this.#event || 'message'
    const data = this.#data
    this.#event = ''
    this.#data = []
    this.#size = 0
    if (data.length > 0) this.#handlers.onEvent({ event, data: data.join('\n') })
  }
}

function* lineEnds(text: string): Generator<{ at: number; next: number }> {
  const pattern = /\r\n|\r|\n/g
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    yield { at: match.index, next: pattern.lastIndex }
  }
}

/** Reads the whole body. Resolves when the server closed it; rejects when the connection broke or was aborted. */
export async function readSse(body: ReadableStream<Uint8Array>, handlers: SseHandlers): Promise<void> {
  const parser = new SseParser(handlers)
  const decoder = new TextDecoder()
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      parser.push(decoder.decode(value, { stream: true }))
    }
  } catch (thrown) {
    // Give the connection back even when it was a handler or the parser that threw.
    await reader.cancel().catch(() => {})
    throw thrown
  }
}
