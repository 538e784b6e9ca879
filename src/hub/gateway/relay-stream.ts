/**
 * Relays a stream of server-sent events as it comes and decides at its end whether it was whole. A stream that stops
 * without `[DONE]` or a finish reason is an error, however politely the connection was closed: llama.cpp with a lost
 * RPC worker just ends it.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { HolonError } from '../../core/errors.ts'
import { ByteTail } from './byte-tail.ts'
import { cutShort } from './engine-error.ts'
import { EventCut } from './event-cut.ts'
import { Relay } from './relay.ts'
import type { StreamGaps } from './stream-gaps.ts'
import { findUsage } from './usage-scan.ts'

const tailBytes = 4096
const dataMark = Buffer.from('data:')
const doneMark = Buffer.from('data: [DONE]')
const doneMarkTight = Buffer.from('data:[DONE]')
const done = Buffer.from('data: [DONE]\n\n')

export class StreamRelay extends Relay {
  /** Choices asked for: with more than one, one finish reason does not end the stream. */
  choices = 1
  gaps: StreamGaps | null = null
  /** Called once, at the first event: from here on the answer speaks for itself. */
  onFirst: (() => void) | null = null
  private readonly cut = new EventCut()
  private readonly tail = new ByteTail(tailBytes)
  private passedAny = false

  protected onAnswerStart(headers: IncomingHttpHeaders): void {
    const type = headers['content-type'] ?? ''
    if (type.startsWith('text/event-stream')) {
      this.exchange.openStream()
      return
    }
    const said = type === '' ? 'no content-type' : `"${type.slice(0, 60)}"`
    this.spoil(
      new HolonError('engine_failed', `The engine answered a request for a stream with ${said}.`, {
        source: 'engine',
      }),
    )
  }

  protected onAnswerData(chunk: Buffer): void {
    if (this.over) return
    const events = this.cut.push(chunk)
    if (events === null) return
    const now = performance.now()
    const { measured } = this
    if (measured.firstAt === null) {
      // Comments of the engine (": keepalive") are no token.
      if (events.includes(dataMark)) {
        measured.firstAt = now
        this.onFirst?.()
      }
    } else if (measured.lastAt !== null) this.gaps?.observe(now - measured.lastAt)
    measured.lastAt = now
    for (let at = events.indexOf(dataMark); at >= 0; at = events.indexOf(dataMark, at + 5)) measured.events++
    this.tail.push(events)
    this.passedAny = true
    this.pass(events)
  }

  protected onAnswerEnd(): void {
    if (this.over) return
    const tail = this.tail.bytes()
    this.measured.usage = findUsage(tail)
    if (!this.cut.unfinished && isDone(tail)) {
      this.end()
      return
    }
    const told = engineErrorIn(tail)
    if (told === 'sent') {
      // The engine said itself what went wrong, as an event clients understand: closing is all that is left.
      this.exchange.status = 502
      this.end()
      return
    }
    if (told !== null) {
      this.spoil(told)
      return
    }
    if (!this.cut.unfinished && this.choices === 1 && hasFinishReason(tail)) {
      this.pass(done)
      this.end()
      return
    }
    this.spoil(cutShort())
  }

  protected sent(): boolean {
    return this.passedAny
  }

  private end(): void {
    if (this.over) return
    this.exchange.end()
    this.finish({ kind: 'done' })
  }
}

function isDone(tail: Buffer): boolean {
  return tail.lastIndexOf(doneMark) >= 0 || tail.lastIndexOf(doneMarkTight) >= 0
}

/** A finish reason in the last events. In generated text the quotes would be escaped. */
function hasFinishReason(tail: Buffer): boolean {
  return /"finish_reason":\s*"/.test(tail.toString('latin1'))
}

/**
 * `sent` when the last event is an OpenAI error; an error to send when the engine used a form of its own
 * (llama-server: `error: {…}`), which clients ignore; null when there is none.
 */
function engineErrorIn(tail: Buffer): 'sent' | HolonError | null {
  const text = tail.toString('utf8')
  const last = text.trimEnd().split(/\r?\n/).at(-1) ?? ''
  if (/^data: ?\{"error":/.test(last)) return 'sent'
  if (!last.startsWith('error:')) return null
  let message = 'The engine reported an error in the middle of its answer.'
  try {
    const parsed: unknown = JSON.parse(last.slice('error:'.length))
    const told = (parsed as { message?: unknown } | null)?.message
    if (typeof told === 'string') message = told.slice(0, 2000)
  } catch {
    // The general sentence will do.
  }
  return new HolonError('engine_failed', message, { source: 'engine' })
}
