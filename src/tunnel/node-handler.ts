/** What stands between the hub's requests and the node's handler: the same rules as on the hub, and no lost exception. */
import type { Http2ServerRequest, Http2ServerResponse, Http2Stream } from 'node:http2'
import { asHolonError, HolonError, toEnvelope } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { maxOpenStreams } from './limits.ts'
import { checkMethod, checkPath } from './request-rules.ts'
import { cancelPath } from './wire.ts'

/**
 * An ordinary Node request handler. One written for `IncomingMessage | Http2ServerRequest` (as Hono's listener is)
 * serves a local port just as well.
 */
export type TunnelHandler = (
  request: Http2ServerRequest,
  response: Http2ServerResponse,
) => void | Promise<void>

export function guardHandler(handler: TunnelHandler, log: Log): TunnelHandler {
  const streams = new OpenStreams()
  return async (request, response) => {
    // A stream that the hub resets says so by an error; without a listener that ends the process.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    request.stream.on('error', () => undefined)
    try {
      if (request.url === cancelPath) return await streams.cancel(request, response)
      checkPath(request.url)
      checkMethod(request.method)
      streams.add(request.stream)
      await handler(request, response)
    } catch (thrown) {
      const error = asHolonError(thrown)
      if (error.code === 'internal')
        log.error({ error: error.message }, 'The handler of tunnelled requests failed.')
      answerError(response, error)
    }
  }
}

/** Streams by session and id, for the hub's wish to cancel some (see canceller.ts). */
class OpenStreams {
  private readonly bySession = new WeakMap<object, Map<number, Http2Stream>>()

  add(stream: Http2Stream): void {
    const { session, id } = stream
    if (!session || id === undefined) return
    let open = this.bySession.get(session)
    if (!open) {
      open = new Map()
      this.bySession.set(session, open)
    }
    open.set(id, stream)
    stream.once('close', () => open.delete(id))
  }

  /** The body names stream ids of this very session; none of another can be reached. */
  async cancel(request: Http2ServerRequest, response: Http2ServerResponse): Promise<void> {
    const { session } = request.stream
    let text = ''
    for await (const chunk of request) {
      text += String(chunk)
      if (text.length > maxOpenStreams * 11)
        throw new HolonError('body_too_large', 'Too many streams to cancel at once.')
    }
    const open = session ? this.bySession.get(session) : undefined
    for (const id of text.split(' '))
      open?.get(Number(id))?.destroy(new Error('The hub cancelled the request.'))
    response.writeHead(204)
    response.end()
  }
}

function answerError(response: Http2ServerResponse, error: HolonError): void {
  if (response.stream?.destroyed !== false) return
  // Closing would end the answer properly before it resets the stream: half an answer would pass for a whole one.
  if (response.headersSent) return void response.stream.destroy(error)
  const body = JSON.stringify(toEnvelope(error))
  response.writeHead(error.status, { 'content-type': 'application/json' })
  response.end(body)
}
