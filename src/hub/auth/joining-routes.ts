/** What a machine that is not yet a node may ask, and the page on which a person answers it. No key opens these doors; the answers do. */
import { TLSSocket } from 'node:tls'
import type { HttpBindings } from '@hono/node-server'
import type { Context, Hono } from 'hono'
import type { Clock } from '../../core/clock.ts'
import { asHolonError, HolonError } from '../../core/errors.ts'
import {
  type DeviceError,
  deviceCodeRequest,
  deviceTokenRequest,
  joinRequest,
  leaveRequest,
} from '../../protocol/joining.ts'
import type { Admissions } from './admissions.ts'
import { DeviceFlow } from './device-flow.ts'
import { type DevicePage, devicePage, devicePageHeaders } from './device-page.ts'
import { Patience } from './patience.ts'

type Env = { Bindings: HttpBindings }
type C = Context<Env>

export interface JoiningRoutes {
  admissions: Admissions
  clock: Clock
  /** Whether a person must show a key to approve; not when whoever reaches this machine may. */
  needsKey(): boolean
  /** Whether this key lets its holder approve. */
  mayApprove(key: string): boolean
}

/** Doors that ask for no key. */
export const joiningPaths: ReadonlySet<string> = new Set([
  '/fleet/v1/join',
  '/fleet/v1/leave',
  '/fleet/v1/device/code',
  '/fleet/v1/device/token',
])

export function mountJoining(
  app: Hono<Env>,
  { admissions, clock, needsKey, mayApprove }: JoiningRoutes,
): void {
  const flow = new DeviceFlow(clock)
  const patience = new Patience()

  app.post('/fleet/v1/join', async (c) => {
    const from = addressOf(c)
    patience.spend(from)
    const { token, name } = check(joinRequest, await readBody(c))
    const admitted = await admissions.joinByToken(token, name, from)
    patience.giveBack(from)
    return c.json(admitted)
  })

  app.post('/fleet/v1/leave', async (c) => {
    const from = addressOf(c)
    patience.spend(from)
    const { nodeId, credential } = check(leaveRequest, await readBody(c))
    const node = await admissions.authenticate(nodeId, credential)
    await admissions.revoke(node.id, `the node itself, at ${from}`)
    patience.giveBack(from)
    return c.json({ id: node.id, name: node.name })
  })

  app.post('/fleet/v1/device/code', async (c) => {
    const from = addressOf(c)
    patience.spend(from)
    const { client_id } = check(deviceCodeRequest, await readBody(c))
    admissions.prepare()
    const { deviceCode, request, intervalS } = flow.begin(client_id.slice(0, 60) || 'node', from)
    const page = `${originOf(c)}/device`
    c.header('cache-control', 'no-store')
    return c.json({
      device_code: deviceCode,
      user_code: request.userCode,
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${request.userCode}`,
      expires_in: Math.floor((request.expiresAtMs - clock.now()) / 1000),
      interval: intervalS,
    })
  })

  app.post('/fleet/v1/device/token', async (c) => {
    const { device_code } = check(deviceTokenRequest, await readBody(c))
    const result = flow.poll(device_code)
    if (result.kind === 'error') return refuse(c, result.error)
    // First void, then admitted: of two polls at once only one gets in.
    if (!flow.finish(device_code)) return refuse(c, 'expired_token')
    const { request, by } = result
    const admitted = await admissions.admit(request.name, by, request.from)
    patience.giveBack(request.from)
    c.header('cache-control', 'no-store')
    return c.json(admitted)
  })

  app.get('/device', (c) => {
    const typed = c.req.query('user_code')
    if (typed === undefined) return show(c, { kind: 'ask', problem: null })
    const request = flow.find(typed)
    if (!request) {
      patience.spend(addressOf(c))
      return show(
        c,
        { kind: 'ask', problem: 'This code is not known, or no longer. Is it typed right?' },
        404,
      )
    }
    return show(c, { kind: 'request', request, needsKey: needsKey(), problem: null, nowMs: clock.now() })
  })

  app.post('/device', async (c) => {
    const from = addressOf(c)
    requireSameOrigin(c)
    patience.spend(from)
    const form = await readBody(c)
    const text = (name: string) => (typeof form[name] === 'string' ? form[name] : '')
    const code = text('user_code')
    const approved = text('decision') === 'approve'
    const request = flow.find(code)
    if (!request) return show(c, { kind: 'ask', problem: 'This code is not known, or no longer.' }, 404)
    // Turning away harms nobody who did not ask; letting in is the owner's to do.
    if (approved && needsKey() && !mayApprove(text('key'))) {
      const problem = 'That is no admin key of this hub.'
      return show(c, { kind: 'request', request, needsKey: true, problem, nowMs: clock.now() }, 403)
    }
    const by = `the owner at ${from}`
    flow.decide(code, text('csrf'), approved ? { approved, by } : { approved })
    patience.giveBack(from)
    if (!approved)
      await admissions.refused(request.name, by, 'turned away on the page').catch(() => undefined)
    return show(c, { kind: 'done', name: request.name, approved })
  })
}

/** RFC 8628, section 3.5, which is RFC 6749, section 5.2. */
function refuse(c: C, error: DeviceError): Response {
  c.header('cache-control', 'no-store')
  return c.json({ error }, 400)
}

function show(c: C, page: DevicePage, status: 200 | 403 | 404 = 200): Response {
  return c.body(devicePage(page), status, devicePageHeaders)
}

/** A form or JSON, as OAuth clients send the one and ours the other. @throws HolonError invalid_json */
async function readBody(c: C): Promise<Record<string, unknown>> {
  const text = await c.req.text()
  if (c.req.header('content-type')?.startsWith('application/x-www-form-urlencoded')) {
    return Object.fromEntries(new URLSearchParams(text))
  }
  try {
    const body: unknown = JSON.parse(text)
    if (typeof body === 'object' && body !== null) return body as Record<string, unknown>
  } catch {
    // Said below.
  }
  throw new HolonError('invalid_json', 'The body is neither a form nor a JSON object.')
}

/** @throws HolonError invalid_parameter */
function check<T>(schema: { parse(body: unknown): T }, body: unknown): T {
  try {
    return schema.parse(body)
  } catch (thrown) {
    const issue = (thrown as { issues?: { path: PropertyKey[]; message: string }[] }).issues?.[0]
    if (!issue) throw asHolonError(thrown)
    const param = issue.path.join('.')
    throw new HolonError('invalid_parameter', `${param || 'The body'}: ${issue.message}.`, { param })
  }
}

/** A page elsewhere, also on another port of this machine, may not answer for the person who looks at it. */
function requireSameOrigin(c: C): void {
  const { origin, host } = c.env.incoming.headers
  const site = c.req.header('sec-fetch-site')
  const foreign = origin !== undefined && hostOf(origin) !== host?.toLowerCase()
  if (foreign || (site !== undefined && site !== 'same-origin' && site !== 'none')) {
    throw new HolonError('origin_refused', 'The answer must come from the page of this hub.')
  }
}

function hostOf(origin: string): string | null {
  try {
    return new URL(origin).host.toLowerCase()
  } catch {
    return null
  }
}

/** Where a person reaches this hub: as the machine that asks did. */
function originOf(c: C): string {
  const { host } = c.env.incoming.headers
  const scheme = isEncrypted(c) || c.req.header('x-forwarded-proto') === 'https' ? 'https' : 'http'
  return `${scheme}://${host !== undefined && /^[\w.:[\]-]{1,255}$/.test(host) ? host : '127.0.0.1'}`
}

function isEncrypted(c: C): boolean {
  return c.env.incoming.socket instanceof TLSSocket
}

function addressOf(c: C): string {
  return c.env.incoming.socket.remoteAddress?.replace(/^::ffff:/, '') ?? 'unknown'
}
