/**
 * A request of the hub, on to the engine that it holds, and the answer back, with pause and resume and no streams API
 * in between. An engine that breaks breaks the stream: the hub must see the same as from an engine on its own machine.
 */
import type { IncomingHttpHeaders } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { Agent, type Dispatcher } from 'undici'
import { HolonError } from '../../core/errors.ts'
import type { EngineLease } from '../../protocol/node.ts'
import { holdHeader } from '../../protocol/node-wire.ts'
import type { Holds } from './holds.ts'
import type { PoolParts } from './pool-parts.ts'

/** What of a request is the engine's business. */
const passedOn = ['content-type', 'content-length', 'accept', 'x-request-id', 'traceparent']
/** What of an answer is the hub's. */
const passedBack = ['content-type', 'content-length', 'retry-after']

export class EngineRelay {
  private readonly holds: Holds
  private readonly parts: PoolParts | null
  /** The hub decides how long an answer may take; the tunnel tells when it gave up. */
  private readonly engines = new Agent({ headersTimeout: 0, bodyTimeout: 0, pipelining: 1 })

  constructor(holds: Holds, parts: PoolParts | null = null) {
    this.holds = holds
    this.parts = parts
  }

  async serve(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const { method } = request
    if (method !== 'POST' && method !== 'GET') {
      throw new HolonError('method_not_allowed', `Engines are sent GET and POST, not ${method}.`)
    }
    const named = request.headers[holdHeader]
    const lease = this.leaseOf(typeof named === 'string' ? named : undefined, response)
    const headers: Record<string, string> = {}
    for (const name of passedOn) {
      const value = request.headers[name]
      if (typeof value === 'string') headers[name] = value
    }
    this.engines.dispatch(
      {
        origin: lease.origin,
        path: request.url,
        method,
        headers: { ...headers, ...lease.headers },
        body: method === 'POST' ? request : null,
        // llama-server ends its side a moment after a stream, whatever it says of keeping it. A request that meets that
        // end fails, and as its body is not kept here it cannot be sent anew; on loopback a new connection costs little.
        reset: true,
      },
      new Answer(response),
    )
  }

  close(): Promise<void> {
    return this.engines.destroy()
  }

  /** A pool's head is held by its part, so that each request takes a lease of its own for as long as it lasts. */
  private leaseOf(hold: string | undefined, response: Http2ServerResponse): EngineLease {
    const lease = hold === undefined ? null : (this.parts?.leaseOf(hold) ?? null)
    if (lease === null) return this.holds.leaseOf(hold)
    response.on('close', () => lease.release())
    return lease
  }
}

class Answer implements Dispatcher.DispatchHandler {
  private readonly response: Http2ServerResponse
  private over = false

  constructor(response: Http2ServerResponse) {
    this.response = response
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.response.on('close', () => {
      if (!this.over) controller.abort(new Error('the hub let go'))
    })
  }

  onResponseStart(_: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200 || this.response.stream.destroyed) return
    const back: IncomingHttpHeaders = {}
    for (const name of passedBack) if (headers[name] !== undefined) back[name] = headers[name]
    this.response.writeHead(status, back)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.response.stream.destroyed || this.response.write(chunk)) return
    controller.pause()
    this.response.once('drain', () => controller.resume())
  }

  onResponseEnd(): void {
    this.over = true
    if (!this.response.stream.destroyed) this.response.end()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.over = true
    // Never `end`: half an answer must not pass for a whole one.
    this.response.stream.destroy(error)
  }
}
