/**
 * Reads one HTTP/1.1 response after the other from the bytes of a connection (RFC 9112). Strict: what two readers could
 * understand differently is refused. It knows no socket, so that tests can cut the bytes anywhere.
 */

export type AnswerHeaders = Record<string, string>

/** Told of the response as it arrives. `bytes` are a view that the next read overwrites. */
export interface AnswerSink {
  head(status: number, headers: AnswerHeaders): void
  data(bytes: Buffer): void
  /** The response is whole. @param reusable false when the server closes after it */
  done(reusable: boolean): void
}

/** A response that is no HTTP, or not understood safely. */
export class BadAnswer extends Error {
  readonly code = 'BAD_HTTP'
}

type State =
  | 'head'
  | 'length'
  | 'until-close'
  | 'chunk-size'
  | 'chunk-data'
  | 'chunk-end'
  | 'trailers'
  | 'over'

const maxHeadBytes = 64 * 1024
const maxLineBytes = 4 * 1024
const lineEnd = '\r\n'
const headEnd = Buffer.from('\r\n\r\n')
/** A null, or half an end of a line, anywhere in a head. */
const strayByte = /\0|\r(?!\n)|(?:^|[^\r])\n/
const cr = 0x0d
const lf = 0x0a

export class AnswerParser {
  private readonly sink: AnswerSink
  private state: State = 'head'
  /** A head or line whose end has not come. */
  private held: Buffer | null = null
  /** Bytes left of the body or chunk. */
  private left = 0
  private reusable = true
  private trailerBytes = 0

  constructor(sink: AnswerSink) {
    this.sink = sink
  }

  /** Makes ready for the next response. */
  reset(): void {
    this.state = 'head'
    this.held = null
    this.reusable = true
    this.trailerBytes = 0
  }

  /**
   * @returns false when bytes were left over after the end of the response, which nobody asked for
   * @throws BadAnswer, and whatever the sink throws
   */
  push(bytes: Buffer): boolean {
    let at = 0
    while (at < bytes.length) {
      switch (this.state) {
        case 'head':
          at = this.readHead(bytes, at)
          break
        case 'length':
        case 'chunk-data':
        case 'until-close':
          at = this.readData(bytes, at)
          break
        case 'over':
          return false
        default:
          at = this.readLine(bytes, at)
      }
    }
    return true
  }

  /** The server closed the connection. @returns false @throws BadAnswer when the response was not whole */
  end(): boolean {
    if (this.state !== 'until-close') throw new BadAnswer('The engine closed the connection in its answer.')
    this.finish()
    return false
  }

  private readHead(bytes: Buffer, at: number): number {
    const known = this.held?.length ?? 0
    const all = this.held === null ? bytes.subarray(at) : Buffer.concat([this.held, bytes.subarray(at)])
    const end = all.indexOf(headEnd, Math.max(0, known - 3))
    if (end < 0) {
      if (all.length > maxHeadBytes) throw new BadAnswer('The head of the answer is too large.')
      this.held = Buffer.from(all)
      return bytes.length
    }
    this.held = null
    this.takeHead(all.toString('latin1', 0, end))
    return at + end + headEnd.length - known
  }

  private takeHead(text: string): void {
    if (strayByte.test(text)) throw new BadAnswer('The head of the answer has lines that end in two ways.')
    const first = text.indexOf(lineEnd)
    const line = first < 0 ? text : text.slice(0, first)
    const status = /^HTTP\/1\.([01]) ([1-9]\d\d)(?: |$)/.exec(line)
    if (status === null) throw new BadAnswer('The answer does not begin as HTTP does.')
    const headers = first < 0 ? {} : readHeaders(text, first + 2)
    const code = Number(status[2])
    if (code === 101) throw new BadAnswer('The engine switched to a protocol that nobody asked for.')
    if (code < 200) return
    this.reusable = staysOpen(status[1] === '1', headers.connection)
    this.frame(code, headers)
    this.sink.head(code, headers)
    if (this.state === 'length' && this.left === 0) this.finish()
  }

  /** How the end of the body is told: RFC 9112 section 6.3. */
  private frame(status: number, headers: AnswerHeaders): void {
    const { 'transfer-encoding': coding, 'content-length': length } = headers
    if (status === 204 || status === 304) {
      this.expect(0)
    } else if (coding !== undefined) {
      if (length !== undefined || coding.toLowerCase() !== 'chunked') {
        throw new BadAnswer('The answer says in two ways how long it is, or in an unknown one.')
      }
      this.state = 'chunk-size'
    } else if (length !== undefined) {
      if (!/^\d{1,15}$/.test(length)) throw new BadAnswer('The length of the answer is no number.')
      this.expect(Number(length))
    } else {
      this.state = 'until-close'
    }
  }

  private expect(bytes: number): void {
    this.state = 'length'
    this.left = bytes
  }

  private readData(bytes: Buffer, at: number): number {
    const end = this.state === 'until-close' ? bytes.length : Math.min(bytes.length, at + this.left)
    this.left -= end - at
    this.sink.data(at === 0 && end === bytes.length ? bytes : bytes.subarray(at, end))
    if (this.left === 0 && this.state === 'length') this.finish()
    else if (this.left === 0 && this.state === 'chunk-data') this.state = 'chunk-end'
    return end
  }

  private readLine(bytes: Buffer, at: number): number {
    const end = bytes.indexOf(lf, at)
    const to = end < 0 ? bytes.length : end + 1
    const known = this.held?.length ?? 0
    if (known + to - at > maxLineBytes) throw new BadAnswer('A line between two pieces is too long.')
    if (known > 0 || end < 0) {
      const line = Buffer.concat([this.held ?? Buffer.alloc(0), bytes.subarray(at, to)])
      this.held = end < 0 ? line : null
      if (end >= 0) this.takeLine(line, 0, line.length)
    } else {
      this.takeLine(bytes, at, to)
    }
    return to
  }

  /** A line from `from` to `to`, its end included. */
  private takeLine(bytes: Buffer, from: number, to: number): void {
    if (to - from < 2 || bytes[to - 2] !== cr) throw new BadAnswer('A line ends without a carriage return.')
    if (this.state === 'chunk-end') {
      if (to - from !== 2) throw new BadAnswer('A piece of the answer is longer than it said.')
      this.state = 'chunk-size'
    } else if (this.state === 'chunk-size') {
      this.left = chunkSize(bytes, from, to - 2)
      this.state = this.left === 0 ? 'trailers' : 'chunk-data'
    } else if (to - from === 2) {
      this.finish()
    } else {
      this.trailerBytes += to - from
      if (this.trailerBytes > maxHeadBytes) throw new BadAnswer('The trailers of the answer are too large.')
    }
  }

  private finish(): void {
    this.state = 'over'
    this.sink.done(this.reusable)
  }
}

function readHeaders(text: string, start: number): AnswerHeaders {
  const headers: AnswerHeaders = {}
  for (let at = start; at < text.length; ) {
    const next = text.indexOf(lineEnd, at)
    const end = next < 0 ? text.length : next
    const colon = text.indexOf(':', at)
    if (colon <= at || colon >= end) throw malformed()
    const name = nameOf(text.slice(at, colon))
    const value = text.slice(colon + 1, end).trim()
    const before = Object.hasOwn(headers, name) ? headers[name] : undefined
    headers[name] = before === undefined ? value : `${before}, ${value}`
    at = end + 2
  }
  return headers
}

/** Engines send the same few names in every answer: each is checked and lowered once. */
const knownNames = new Map<string, string>()
const mostNames = 200

function nameOf(text: string): string {
  const known = knownNames.get(text)
  if (known !== undefined) return known
  // A name may be followed by nothing but its colon: some readers take "content-length :" for another name.
  if (!/^[!#$%&'*+\-.^_`|~\w]+$/.test(text)) throw malformed()
  const name = text.toLowerCase()
  // A copy: a piece of a text keeps the whole text in memory.
  if (knownNames.size < mostNames && text.length < 64)
    knownNames.set(Buffer.from(text, 'latin1').toString('latin1'), name)
  return name
}

const malformed = () => new BadAnswer('A header of the answer is malformed.')

function staysOpen(isNew: boolean, connection: string | undefined): boolean {
  if (connection === undefined) return isNew
  const words = connection.toLowerCase()
  return isNew ? !words.includes('close') : words.includes('keep-alive')
}

/** Hexadecimal digits, perhaps with extensions after a semicolon, which mean nothing to us. */
function chunkSize(bytes: Buffer, from: number, to: number): number {
  let size = 0
  let at = from
  for (; at < to; at++) {
    const digit = hexDigit(bytes[at]!)
    if (digit < 0) break
    size = size * 16 + digit
  }
  const plain = at === to || bytes[at] === 0x3b || bytes[at] === 0x20 || bytes[at] === 0x09
  if (at === from || at - from > 12 || !plain) throw new BadAnswer('A piece of the answer has no length.')
  return size
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const lower = byte | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
