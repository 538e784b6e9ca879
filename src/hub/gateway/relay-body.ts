/**
 * Relays a whole (non-streamed) answer. A usual one is collected and sent in one piece, so that an engine dying in the
 * middle still gets a clean error or a second try; one too large for that goes through as it comes.
 */
import type { IncomingHttpHeaders } from 'node:http'
import { asHolonError, HolonError } from '../../core/errors.ts'
import { formatBytes } from '../../core/units.ts'
import { ByteTail } from './byte-tail.ts'
import { cutShort } from './engine-error.ts'
import { Relay } from './relay.ts'
import { findUsage } from './usage-scan.ts'

const tailBytes = 4096

export class BodyRelay extends Relay {
  private type = 'application/json'
  private announced: number | null = null
  private chunks: Buffer[] = []
  private bytes = 0
  /** Set once the answer is too large to collect. */
  private tail: ByteTail | null = null

  protected onAnswerStart(headers: IncomingHttpHeaders): void {
    const { 'content-type': type, 'content-length': length } = headers
    if (type !== undefined) this.type = type
    if (length !== undefined) this.announced = Number(length)
  }

  protected onAnswerData(chunk: Buffer): void {
    if (this.over) return
    this.measured.firstAt ??= performance.now()
    this.bytes += chunk.length
    if (this.tail !== null) {
      this.tail.push(chunk)
      this.pass(chunk)
    } else {
      this.chunks.push(chunk)
      if (this.bytes <= this.exchange.collectBytes) return
      if (this.exchange.passesThrough) this.passThrough()
      else this.spoil(tooLarge(this.exchange.collectBytes))
    }
  }

  protected onAnswerEnd(): void {
    if (this.over) return
    if (this.announced !== null && this.bytes !== this.announced) {
      this.spoil(cutShort())
      return
    }
    this.measured.lastAt = performance.now()
    if (this.tail !== null) {
      this.measured.usage ??= findUsage(this.tail.bytes())
      this.exchange.end()
      this.finish({ kind: 'done' })
      return
    }
    const body = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks, this.bytes)
    if (body.length === 0) {
      this.spoil(cutShort())
      return
    }
    this.measured.usage = findUsage(body)
    try {
      this.exchange.sendAnswer(body, this.type)
    } catch (thrown) {
      this.spoil(asHolonError(thrown))
      return
    }
    this.finish({ kind: 'done' })
  }

  protected sent(): boolean {
    return this.tail !== null
  }

  private passThrough(): void {
    const { res } = this.exchange
    const headers = this.exchange.headers(this.type)
    if (this.announced !== null) headers['content-length'] = this.announced
    this.exchange.status = 200
    res.writeHead(200, headers)
    this.tail = new ByteTail(tailBytes)
    // llama-server puts an embedding's usage before its data.
    this.measured.usage = findUsage(this.chunks[0]!.subarray(0, tailBytes))
    for (const chunk of this.chunks) {
      this.tail.push(chunk)
      this.pass(chunk)
    }
    this.chunks = []
  }
}

function tooLarge(limit: number): HolonError {
  return new HolonError('engine_failed', `The engine's answer is larger than ${formatBytes(limit)}.`, {
    source: 'engine',
    hint: 'Ask for less at once.',
  })
}
