/** What stands between the hub's requests and the node's handler: the same rules as on the hub, and no lost exception. */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { asHolonError, HolonError, toEnvelope } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { checkMethod, checkPath } from './request-rules.ts'

/**
 * An ordinary Node request handler. One written for `IncomingMessage | Http2ServerRequest` (as Hono's listener is)
 * serves a local port just as well.
 */
export type TunnelHandler = (request: Http2ServerRequest, response: Http2ServerResponse) => void | Promise<void>

export function guardHandler(handler: TunnelHandler, log: Log): TunnelHandler {
  return async (request, response) => {
    // A stream that the hub resets says so by an error; without a listener that ends the process.
    request.on('error', () => undefined)
    response.on('error', () => undefined)
    request.stream.on('error', () => undefined)
    try {
      checkPath(request.url)
      checkMethod(request.method)
      await handler(request, response)
    } catch (thrown) {
      const error = asHolonError(thrown)
      if (error.code === 'internal') log.error({ error: error.message }, 'The handler of tunnelled requests failed.')
      answerError(response, error)
    }
  }
}

function answerError(response: Http2ServerResponse, error: HolonError): void {
  if (response.stream?.destroyed !== false) return
  if (response.headersSent) return response.stream.close(2)
  const body = JSON.stringify(toEnvelope(error))
  response.writeHead(error.status, { 'content-type': 'application/json' })
  response.end(body)
}
