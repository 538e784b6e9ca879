import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AnswerParser, BadAnswer } from './answer-parser.ts'

interface Read {
  status: number
  headers: Record<string, string>
  body: string
  reusable: boolean | null
  clean: boolean
}

/** Reads a response that comes in these pieces; with `closes`, the connection ends after them. */
function read(pieces: Buffer[], closes = false): Read {
  const result: Read = { status: 0, headers: {}, body: '', reusable: null, clean: true }
  const parser = new AnswerParser({
    head: (status, headers) => Object.assign(result, { status, headers }),
    data: (bytes) => {
      result.body += bytes.toString('latin1')
    },
    done: (reusable) => {
      result.reusable = reusable
    },
  })
  for (const piece of pieces) if (!parser.push(piece)) result.clean = false
  if (closes) result.clean = parser.end()
  return result
}

const text = (raw: string, closes = false): Read => read([Buffer.from(raw, 'latin1')], closes)

/** Cuts bytes at these places. */
function cutAt(whole: Buffer, places: number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (whole.length + 1)))].sort((a, b) => a - b)
  const pieces: Buffer[] = []
  let from = 0
  for (const end of [...ends, whole.length]) {
    if (end > from) pieces.push(whole.subarray(from, end))
    from = end
  }
  return pieces
}

const chunked = (bodies: string[]): string =>
  `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Type: text/event-stream\r\n\r\n${bodies
    .map((body) => `${body.length.toString(16)};ext=1\r\n${body}\r\n`)
    .join('')}0\r\nTrailer: x\r\n\r\n`

describe('a response read from bytes', () => {
  it('is the same however its bytes are cut', () => {
    const bodies = fc.array(
      fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 40 }).map((each) => `${each}\r\n`),
      { maxLength: 6 },
    )
    fc.assert(
      fc.property(bodies, fc.boolean(), fc.array(fc.nat(2_000), { maxLength: 30 }), (parts, whole, cuts) => {
        const body = parts.join('')
        const raw = whole
          ? `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`
          : chunked(parts.filter((part) => part !== ''))
        const result = read(cutAt(Buffer.from(raw, 'latin1'), cuts))
        expect(result).toMatchObject({ status: 200, body, reusable: true, clean: true })
      }),
    )
  })

  it('gives its headers in lower case, equal names joined', () => {
    const { headers } = text(
      'HTTP/1.1 503 Busy\r\nRetry-After:  7 \r\nX-A: 1\r\nx-a: 2\r\ncontent-length: 0\r\n\r\n',
    )
    expect(headers).toEqual({ 'retry-after': '7', 'x-a': '1, 2', 'content-length': '0' })
  })

  it('passes over what a server says before its answer', () => {
    const answer = text('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    expect(answer).toMatchObject({ status: 200, body: 'ok', reusable: true })
  })

  it('without a length lasts until the connection closes, which is then not used again', () => {
    const answer = text('HTTP/1.0 200 OK\r\n\r\nall there is', true)
    expect(answer).toMatchObject({ body: 'all there is', reusable: false, clean: false })
  })

  it('that closes the connection says so', () => {
    expect(text('HTTP/1.1 200 OK\r\nConnection: Close\r\ncontent-length: 0\r\n\r\n').reusable).toBe(false)
    expect(text('HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n').reusable).toBe(false)
    expect(text('HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 0\r\n\r\n').reusable).toBe(true)
  })

  it('does not take what follows it for a part of anything', () => {
    const answer = text('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n')
    expect(answer).toMatchObject({ body: 'ok', clean: false })
  })

  it('that stops in its middle is refused', () => {
    for (const raw of ['HTTP/1.1 200 OK\r\ncontent-le', 'HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab']) {
      expect(() => text(raw, true)).toThrow(BadAnswer)
    }
    expect(() => text(chunked(['abc']).slice(0, -4), true)).toThrow(BadAnswer)
  })

  const bad: Record<string, string> = {
    'no HTTP': 'SSH-2.0-OpenSSH\r\n\r\n',
    'another version': 'HTTP/2.0 200 OK\r\n\r\n',
    'two lengths': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n',
    'a length and chunks': 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n',
    'an unknown coding': 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n',
    'a negative length': 'HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n',
    'a space before the colon': 'HTTP/1.1 200 OK\r\ncontent-length : 1\r\n\r\n',
    'a folded header': 'HTTP/1.1 200 OK\r\na: b\r\n c: d\r\n\r\n',
    'a bare line feed': 'HTTP/1.1 200 OK\r\na: b\nc: d\r\n\r\n',
    'a chunk without a length': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n;x\r\n',
    'a chunk longer than it said': 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nabc\r\n',
    'a chunk too long for a number':
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1ffffffffffffff\r\n',
    'a switch of protocols': 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'a head without end': `HTTP/1.1 200 OK\r\na: ${'x'.repeat(70_000)}`,
    'trailers without end': `HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n${'a: b\r\n'.repeat(20_000)}`,
  }
  it.each(Object.entries(bad))('with %s is refused', (_, raw) => {
    expect(() => text(raw)).toThrow(BadAnswer)
  })
})
