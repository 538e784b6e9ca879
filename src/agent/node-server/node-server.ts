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
import { streamChanges } from './changes.ts'
import { checked } from './checked.ts'
import { Holds } from './holds.ts'
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
  const relay = new EngineRelay(holds)
  const words = { role: options.role ?? null, place: options.place ?? null }
  const routes: Record<string, Handler> = {
    [`GET ${nodePaths.changes}`]: async (_, response) => streamChanges(node, words, response),
    [`POST ${nodePaths.hold}`]: (request, response) => holds.serve(request, response),
    [`POST ${nodePaths.load}`]: (request, response) =>
      answer(request, response, async (body) => {
        const { model, ...wish } = checked(nodeLoadRequest, body)
        await node.load(model, wish)
      }),
    [`POST ${nodePaths.unload}`]: (request, response) =>
      answer(request, response, async (body) => node.unload(checked(nodeUnloadRequest, body).model)),
    [`POST ${nodePaths.credential}`]: (request, response) =>
      answer(request, response, async (body) =>
        options.keepCredential(checked(nodeCredential, body).credential),
      ),
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

/** A small JSON request that is answered with nothing, or with the error that came of it. */
async function answer(
  request: Http2ServerRequest,
  response: Http2ServerResponse,
  work: (body: unknown) => Promise<void>,
): Promise<void> {
  try {
    await work(await readJson(request))
    response.writeHead(204)
    response.end()
  } catch (thrown) {
    const error = asHolonError(thrown)
    response.writeHead(error.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ error: toWireError(error) }))
  }
}

async function readJson(request: Http2ServerRequest): Promise<unknown> {
  let text = ''
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
