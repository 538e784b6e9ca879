/**
 * One request in another dialect than OpenAI's. The gateway writes the engine's answer into it as if it were the OpenAI
 * client; here each event is read and told anew, so that backpressure, metering and cancelling stay the gateway's.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { StringDecoder } from 'node:string_decoder'
import { createParser, type EventSourceParser } from 'eventsource-parser'
import { HolonError } from '../../core/errors.ts'
import { isObject } from '../../protocol/openai/checks.ts'
import type { AnswerTeller } from '../../protocol/translation.ts'
import type { Caller } from '../auth/caller.ts'
import { Exchange } from '../gateway/exchange.ts'

/** How a dialect says what is no answer: the same for all of its requests. */
export interface Manners {
  /** The body of an error response. */
  failure(error: HolonError, requestId: string): object
  /** The name of the dialect's own header for the request id, beside `x-request-id`. */
  idHeader: string | null
}

/** An event longer than this is no event of an answer. Characters. */
const maxEventLength = 8 * 1024 * 1024

export class DialectExchange extends Exchange {
  override readonly collectBytes = 64 * 1024 * 1024
  override readonly passesThrough = false
  /** Set once the request is understood; before that there is no answer to tell. */
  teller: AnswerTeller | null = null
  private readonly manners: Manners
  private readonly characters = new StringDecoder('utf8')
  private readonly parser: EventSourceParser
  /** What the events of the current chunk became. */
  private told = ''
  private ended = false

  constructor(req: IncomingMessage, res: ServerResponse, manners: Manners, caller: Caller) {
    super(req, res, caller)
    this.manners = manners
    this.parser = createParser({
      maxBufferSize: maxEventLength,
      onEvent: (event) => {
        this.told += this.tell(event.data)
      },
      onError: (error) => {
        if (error.type === 'max-buffer-size-exceeded') throw unreadable('one event is too long')
      },
    })
  }

  override write(bytes: Buffer): boolean {
    this.told = ''
    this.parser.feed(this.characters.write(bytes))
    return this.told === '' || this.put(this.told)
  }

  override sendAnswer(body: Buffer): void {
    let parsed: unknown
    try {
      parsed = JSON.parse(body.toString('utf8'))
    } catch {
      throw unreadable('it is no JSON')
    }
    this.sendJson(200, JSON.stringify(this.requireTeller().whole(parsed)))
  }

  override refuse(error: HolonError, status: number): void {
    if (this.streaming) {
      this.fail(error)
      return
    }
    const body = JSON.stringify(this.failure(error))
    this.sendJson(status, body, 'application/json', error.retryAfterS)
  }

  override headers(type: string): Record<string, string | number> {
    const headers = super.headers(type)
    if (this.manners.idHeader !== null) headers[this.manners.idHeader] = this.id
    return headers
  }

  protected override streamType(): string {
    return this.requireTeller().streamType
  }

  protected override keepAlive(text: string): string {
    return this.requireTeller().keepAlive(text)
  }

  protected override failure(error: HolonError): object {
    return this.manners.failure(error, this.id)
  }

  protected override brokenStream(error: HolonError): string {
    // An answer that was told as whole, or as broken, is not told again.
    if (this.ended) return ''
    this.ended = true
    return this.requireTeller().broken(error)
  }

  private tell(data: string): string {
    if (this.ended) return ''
    if (data === '[DONE]') {
      this.ended = true
      return this.requireTeller().end()
    }
    let event: unknown
    try {
      event = JSON.parse(data)
    } catch {
      throw unreadable('an event is no JSON')
    }
    if (isObject(event) && event.error != null) return this.brokenStream(fromEvent(event.error))
    return this.requireTeller().piece(event)
  }

  private requireTeller(): AnswerTeller {
    if (this.teller === null) throw new HolonError('internal', 'An answer came before its request was read.')
    return this.teller
  }
}

function unreadable(what: string): HolonError {
  return new HolonError('engine_failed', `The engine's answer cannot be read: ${what}.`, { source: 'engine' })
}

/** The engine's own last word in a stream. */
function fromEvent(told: unknown): HolonError {
  const message = isObject(told) ? told.message : told
  const said = typeof message === 'string' && message !== '' ? message.slice(0, 2000) : null
  return new HolonError(
    'engine_failed',
    said ?? 'The engine reported an error in the middle of its answer.',
    {
      source: 'engine',
    },
  )
}
