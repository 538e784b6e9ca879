import { describe, expect, it } from 'vitest'
import { maxEventChars, readSse, SseParser } from './sse.ts'

function parseIn(pieces: string[]) {
  const seen: string[] = []
  const parser = new SseParser({
    onEvent: ({ event, data }) => seen.push(`${event}|${data}`),
    onComment: (text) => seen.push(`:${text}`),
  })
  for (const piece of pieces) parser.push(piece)
  return seen
}

const stream =
  '\uFEFF: loading 40 %\r\n\r\ndata: {"a":1}\n\nevent: nodes\rdata:one\rdata: two\r\rid: 7\nretry: 10\ndata\n\ndata: [DONE]\n\n'
const expected = [':loading 40 %', 'message|{"a":1}', 'nodes|one\ntwo', 'message|', 'message|[DONE]']

describe('the SSE parser', () => {
  it('reads events, names, comments and every kind of line end', () => {
    expect(parseIn([stream])).toEqual(expected)
  })

  it('gives the same events however the text is cut', () => {
    expect(parseIn([...stream])).toEqual(expected)
    for (let size = 2; size < 12; size++) {
      const pieces: string[] = []
      for (let at = 0; at < stream.length; at += size) pieces.push(stream.slice(at, at + size))
      expect(parseIn(pieces)).toEqual(expected)
    }
  })

  it('keeps an unfinished event to itself', () => {
    expect(parseIn(['data: half'])).toEqual([])
    expect(parseIn(['data: half\n'])).toEqual([])
  })

  it('keeps only one leading space off a value', () => {
    expect(parseIn(['data:  two spaces\n\n'])).toEqual(['message| two spaces'])
  })

  it('refuses an event without end instead of growing for ever', () => {
    const parser = new SseParser({ onEvent: () => {} })
    const piece = 'x'.repeat(1024 * 1024)
    parser.push('data: ')
    expect(() => {
      for (let sent = 0; sent <= maxEventChars; sent += piece.length) parser.push(piece)
    }).toThrow(/more than 8388608 characters/)
  })
})

describe('reading a body', () => {
  it('puts a character cut between two chunks together again', async () => {
    const bytes = new TextEncoder().encode('data: grüße 🙂\n\n')
    const seen: string[] = []
    await readSse(
      new ReadableStream({
        start(controller) {
          for (const byte of bytes) controller.enqueue(new Uint8Array([byte]))
          controller.close()
        },
      }),
      { onEvent: (event) => seen.push(event.data) },
    )
    expect(seen).toEqual(['grüße 🙂'])
  })

  it('lets go of the connection when a handler throws', async () => {
    let cancelled = false
    const body = new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(new TextEncoder().encode('data: x\n\n')),
      cancel: () => {
        cancelled = true
      },
    })
    const reading = readSse(body, {
      onEvent: () => {
        throw new Error('no')
      },
    })
    await expect(reading).rejects.toThrow('no')
    expect(cancelled).toBe(true)
  })
})
