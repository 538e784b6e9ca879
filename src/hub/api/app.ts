/** The other door: management, health, metrics and the page, on Hono. Nothing here is on the path of an answer. */

import type { HttpBindings } from '@hono/node-server'
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response'
import { type Context, Hono } from 'hono'
import { bodyLimit } from 'hono/body-limit'
import { asHolonError, HolonError, toEnvelope } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import { isAnonymous } from '../auth/anonymous.ts'
import { callerOf } from '../auth/caller.ts'
import { type JoiningRoutes, mountJoining } from '../auth/joining-routes.ts'
import { pathOf, unknownPath } from '../gateway/routes.ts'
import type { Metrics } from '../metrics.ts'
import { serveWeb } from '../web.ts'
import { openApi } from './openapi.ts'
import type { Operation } from './operations.ts'

type Env = { Bindings: HttpBindings }
type C = Context<Env>

export interface AppDeps {
  operations: readonly Operation[]
  nodes: readonly NodeHandle[]
  metrics: Metrics
  assetsDir: string | null
  version: string
  log: Log
  /** What machines ask that are no nodes yet. */
  joining: JoiningRoutes
}

const maxBodyBytes = 1024 * 1024

export function createApp(deps: AppDeps): Hono<Env> {
  const app = new Hono<Env>()
  app.onError((error, c) => {
    const known = asHolonError(error)
    if (known.code === 'internal') deps.log.error({ path: c.req.path, error }, 'a management call failed')
    return fail(c, known)
  })
  // Hono decodes and straightens the path before it looks it up. `/%66leet/…`, `/x/../fleet/…` and `http://host/fleet/…`
  // were pages to the doors, which asked for no key, and management here.
  app.use(async (c, next) => {
    if (!isAnonymous(c.req.path)) callerOf(c.env.incoming)
    await next()
  })
  // For bodies of unannounced length; the doors refuse the others. The connection is not used again.
  app.use(
    bodyLimit({
      maxSize: maxBodyBytes,
      onError: (c) => {
        c.header('connection', 'close')
        return fail(c as C, tooLarge())
      },
    }),
  )
  const description = openApi(deps.operations, deps.version)
  for (const operation of deps.operations) {
    app.on(operation.method.toUpperCase(), honoPath(operation.path), async (c) =>
      c.json(await runOperation(operation, c)),
    )
  }
  mountJoining(app, deps.joining)
  app.get('/openapi.json', (c) => c.json(description))
  app.get('/health', (c) => c.json({ status: 'ok', version: deps.version }))
  app.get('/readyz', (c) => {
    const ready = deps.nodes.some((node) => node.state().state === 'ready')
    return c.json({ status: ready ? 'ready' : 'no node is ready yet' }, ready ? 200 : 503)
  })
  app.get('/metrics', async (c) =>
    c.text(await deps.metrics.text(), 200, { 'content-type': deps.metrics.contentType }),
  )
  app.notFound((c) => elsewhere(deps, c))
  return app
}

/** OpenAPI writes `{id}` what Hono writes `:id`. */
const honoPath = (path: string): string => path.replace(/\{(\w+)\}/g, ':$1')

async function runOperation(operation: Operation, c: C): Promise<object> {
  const body = operation.request === null ? null : await readRequest(operation, c)
  const { incoming } = c.env
  const caller = callerOf(incoming)
  const address = incoming.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown'
  const who = caller.keyId === null ? caller.name : `key ${caller.name} (${caller.keyId})`
  const asker = { caller, actor: `${who} at ${address}`, params: c.req.param() }
  return (await operation.run(body, asker)) as object
}

async function readRequest(operation: Operation, c: C): Promise<unknown> {
  let body: unknown
  try {
    body = JSON.parse(await c.req.text())
  } catch {
    throw new HolonError('invalid_json', 'The body is not valid JSON.')
  }
  const checked = operation.request!.safeParse(body)
  if (checked.success) return checked.data
  const issue = checked.error.issues[0]
  const param = issue?.path.join('.') ?? ''
  throw new HolonError('invalid_parameter', `${param || 'The body'}: ${issue?.message ?? 'is not right'}.`, {
    param: param || undefined,
  })
}

/** A file of the page, a known path with the wrong method, or nothing. */
async function elsewhere(deps: AppDeps, c: C): Promise<Response> {
  const { method } = c.req
  // As it came: Hono's own path is decoded already, and decoding twice would turn %252e into a dot.
  const path = pathOf(c.env.incoming.url ?? '/')
  if (method === 'GET' || method === 'HEAD') {
    if (await serveWeb(deps.assetsDir, path, c.env.incoming, c.env.outgoing)) return RESPONSE_ALREADY_SENT
  }
  const known = deps.operations.find((operation) => operation.path === path)
  if (known) {
    throw new HolonError('method_not_allowed', `${method} is not allowed on ${path}.`, {
      hint: `Use ${known.method.toUpperCase()}.`,
    })
  }
  throw unknownPath(path)
}

function fail(c: C, error: HolonError): Response {
  if (error.retryAfterS !== undefined)
    c.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterS))))
  for (const [name, value] of Object.entries(error.headers ?? {})) c.header(name, String(value))
  return c.json(toEnvelope(error), error.status as 400)
}

function tooLarge(): HolonError {
  return new HolonError('body_too_large', 'The body is larger than a management call needs.')
}
