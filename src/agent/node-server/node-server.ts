/**
 * What the hub finds at the node's end of the tunnel: the node's own API and the way on to its engines. An ordinary
 * request handler; it opens no port. The hub is trusted with this machine's models and with nothing else of it.
 */
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { asHolonError, HolonError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import {
  maxLineBytes,
  nodeCredential,
  nodeLoadRequest,
  nodePaths,
  nodeUnloadRequest,
  toWireError,
} from '../../protocol/node-wire.ts'
import type { PoolMember } from '../../protocol/pool.ts'
import { awaitProbeRequest, inspectRequest, poolPaths, probeRequest } from '../../protocol/pool-wire.ts'
import { streamChanges } from './changes.ts'
import { checked } from './checked.ts'
import { Holds } from './holds.ts'
import { PoolParts } from './pool-parts.ts'
import { weightsRoutes } from './pool-weights-routes.ts'
import { EngineRelay } from './relay.ts'

export interface NodeServerOptions {
  node: NodeHandle
  role?: string | null
  place?: string | null
  /** Keeps a new credential safely before it resolves. */
  keepCredential(credential: string): Promise<void>
  log: Log
}

export interface NodeServer {
  readonly handler: (request: Http2ServerRequest, response: Http2ServerResponse) => Promise<void>
  /** Ends what is open to engines. */
  close(): Promise<void>
}

type Handler = NodeServer['handler']

export function createNodeServer(options: NodeServerOptions): NodeServer {
  const { node } = options
  const holds = new Holds(node)
  const parts = node.pool ? new PoolParts(node.pool) : null
  const relay = new EngineRelay(holds, parts)
  const words = { role: options.role ?? null, place: options.place ?? null }
  const routes: Record<string, Handler> = {
    [`GET ${nodePaths.changes}`]: async (_, response) => streamChanges(node, words, response),
    [`POST ${nodePaths.hold}`]: (request, response) => holds.serve(request, response),
    [`POST ${nodePaths.load}`]: (request, response) =>
      answer(request, response, async (body) => {
        const { model, ...wish } = checked(nodeLoadRequest, body)
        await node.load(model, wish)
        return undefined
      }),
    [`POST ${nodePaths.unload}`]: (request, response) =>
      answer(request, response, async (body) => {
        await node.unload(checked(nodeUnloadRequest, body).model)
        return undefined
      }),
    [`POST ${nodePaths.credential}`]: (request, response) =>
      answer(request, response, async (body) => {
        await options.keepCredential(checked(nodeCredential, body).credential)
        return undefined
      }),
    ...(node.pool && parts ? poolRoutes(node.pool, parts) : {}),
    ...(node.pool?.weights ? weightsRoutes(node.pool.weights) : {}),
  }
  return {
    handler: async (request, response) => {
      const path = request.url.split('?', 1)[0] ?? ''
      const route = routes[`${request.method} ${path}`]
      if (route) return route(request, response)
      if (path.startsWith('/v1/')) return relay.serve(request, response)
      throw new HolonError('not_found', `A node has nothing at ${path.slice(0, 100)}.`)
    },
    close: () => relay.close(),
  }
}

function poolRoutes(pool: PoolMember, parts: PoolParts): Record<string, Handler> {
  return {
    [`POST ${poolPaths.part}`]: (request, response) => parts.serve(request, response),
    [`POST ${poolPaths.inspect}`]: (request, response) =>
      answer(request, response, async (body) => pool.inspect(inspectRequest.parse(body))),
    [`POST ${poolPaths.awaitProbe}`]: (request, response) =>
      // It outlives its request: the probe comes from elsewhere, within a minute.
      answer(request, response, async (body) =>
        pool.awaitProbe(awaitProbeRequest.parse(body), new AbortController().signal),
      ),
    [`POST ${poolPaths.probe}`]: (request, response) => {
      const gone = new AbortController()
      response.on('close', () => gone.abort(new Error('the hub let go')))
      return answer(request, response, async (body) => pool.probe(probeRequest.parse(body), gone.signal))
    },
  }
}

/** A small JSON request that is answered with what came of it, which may be nothing or an error. */
async function answer(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  work: (body: unknown) => Promise<object | undefined>,
): Promise<void> {
  try {
    const result = await work(await readJson(request))
    if (result === undefined) {
      response.writeHead(204)
      response.end()
      return
    }
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(result))
  } catch (thrown) {
    const error = asHolonError(thrown)
    response.writeHead(error.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: toWireError(error) }))
  }
}

async function readJson(request: Http2ServerRequest): Promise<unknown> {
  let text = ''
  // A letter may come in two pieces.
  request.setEncoding('utf8')
  for await (const chunk of request) {
    text += String(chunk)
    if (text.length > maxLineBytes) throw new HolonError('body_too_large', 'The body is too long.')
  }
  try {
    return JSON.parse(text)
  } catch {
    throw new HolonError('invalid_json', 'The body is not valid JSON.')
  }
}
