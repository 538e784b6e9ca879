/**
 * Reads a request body once, whole, with two limits: bytes per request, and bytes of all requests together, so that
 * neither one huge body nor five hundred large ones can exhaust memory. What is over a limit is discarded as it
 * arrives, so that the client still gets to read the answer that says so.
 */
import { isUtf8 } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'

export interface BodyLimits {
  /** Bytes one body may have. */
  perRequest: number
  /** Bytes all bodies held at one time may have. */
  together: number
}

/** How much of a refused body is swallowed before the connection is cut. */
const maxDiscardedBytes = 512 * 1024 * 1024

export class BodyReader {
  private readonly limits: BodyLimits
  private held = 0

  constructor(limits: BodyLimits) {
    this.limits = limits
  }

  /** Bytes of bodies in memory now. */
  get heldBytes(): number {
    return this.held
  }

  /** Gives back what `read` took. */
  release(body: Buffer): void {
    this.held -= body.length
  }

  /**
   * @returns the body; call `release` with it when it is no longer needed
   * @throws HolonError body_too_large, overloaded, unsupported_media_type, bad_http (the client left)
   */
  read(req: IncomingMessage): Promise<Buffer> {
    const refused = this.refusalBeforeReading(req)
    if (refused) {
      discard(req)
      return Promise.reject(refused)
    }
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = []
      let length = 0
      let over = false
      const fail = (error: HolonError) => {
        over = true
        this.held -= length
        chunks.length = 0
        reject(error)
      }
      req.on('data', (chunk: Buffer) => {
        if (over) return
        if (
          length + chunk.length > this.limits.perRequest ||
          this.held + chunk.length > this.limits.together
        ) {
          const tooLarge = length + chunk.length > this.limits.perRequest
          discard(req)
          fail(tooLarge ? this.tooLarge() : overloaded())
          return
        }
        length += chunk.length
        this.held += chunk.length
        chunks.push(chunk)
      })
      req.on('end', () => {
        if (over) return
        over = true
        resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks, length))
      })
      req.on('close', () => {
        if (!over) fail(new HolonError('bad_http', 'The connection closed before the body was whole.'))
      })
    })
  }

  /** What can be refused from the headers alone; also asked before a client's `Expect: 100-continue` is answered. */
  refusalBeforeReading(req: IncomingMessage): HolonError | null {
    const type = req.headers['content-type']
    if (type !== undefined && !acceptedType(type)) {
      return new HolonError(
        'unsupported_media_type',
        `The body's content-type "${type.slice(0, 80)}" is not JSON.`,
      )
    }
    const encoding = req.headers['content-encoding']
    if (encoding !== undefined && encoding !== 'identity') {
      return new HolonError('unsupported_media_type', 'Compressed bodies are not accepted.', {
        hint: 'Send the JSON without content-encoding.',
      })
    }
    const announced = Number(req.headers['content-length'] ?? 0)
    if (announced > this.limits.perRequest) return this.tooLarge()
    if (this.held + announced > this.limits.together) return overloaded()
    return null
  }

  private tooLarge(): HolonError {
    return new HolonError(
      'body_too_large',
      `The body is larger than ${formatBytes(this.limits.perRequest)}.`,
      {
        hint: 'Send less at once.',
      },
    )
  }
}

function overloaded(): HolonError {
  return new HolonError('overloaded', 'Too many large requests are being read at the same time.', {
    retryAfterS: 2,
  })
}

/** curl's default type and a plain text type are taken for JSON: people forget the header, and the Origin check guards. */
function acceptedType(type: string): boolean {
  if (type === 'application/json') return true
  const name = (type.split(';', 1)[0] ?? '').trim().toLowerCase()
  return (
    name === '' ||
    name.endsWith('/json') ||
    name.endsWith('+json') ||
    name === 'text/plain' ||
    name === 'application/x-www-form-urlencoded'
  )
}

/** Swallows the rest of a body without keeping it; cuts the connection when there is no end to it. */
export function discard(req: IncomingMessage): void {
  let discarded = 0
  req.on('data', (chunk: Buffer) => {
    discarded += chunk.length
    if (discarded > maxDiscardedBytes) req.destroy()
  })
  req.on('error', () => undefined)
  req.resume()
}

/**
 * The JSON value of a body. A byte order mark is skipped.
 * @throws HolonError invalid_utf8, invalid_json
 */
export function parseJson(body: Buffer): unknown {
  if (!isUtf8(body)) throw new HolonError('invalid_utf8', 'The body is not valid UTF-8.')
  const text = body.toString('utf8')
  if (text.trim() === '') throw new HolonError('invalid_json', 'The body is empty.')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new HolonError('invalid_json', `The body is not valid JSON${positionIn(error)}.`)
  }
}

/** V8's messages quote the text around the error, which may be private: only the position is kept. */
function positionIn(error: unknown): string {
  const match = /position (\d+)/.exec(error instanceof Error ? error.message : '')
  return match ? ` (at character ${match[1]})` : ''
}

/** The body without a leading byte order mark, which engines choke on. */
export function withoutMark(body: Buffer): Buffer {
  return body[0] === 0xef && body[1] === 0xbb && body[2] === 0xbf ? body.subarray(3) : body
}
