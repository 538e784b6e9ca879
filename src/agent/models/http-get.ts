/**
 * GET for downloads. Redirects are followed here, by hand, for one reason: the token belongs to one host and must
 * never travel to another one, and the address of the last hop tells whether a mirror or a CDN answered.
 */
import { Agent, type Dispatcher, EnvHttpProxyAgent, request } from 'undici'
import { HolonError } from '../../core/errors.ts'
import { eagerChunks } from './eager-chunks.ts'
import { TransientFault } from './retry.ts'

export interface HttpAccess {
  /** Sent as a bearer token to `tokenOrigin` and nowhere else. */
  token?: string
  tokenOrigin?: string
  /** A connection that brings nothing for this long has stalled. Milliseconds. */
  stallMs: number
  /** The way to a source that is no public server; the common pool without it. */
  dispatcher?: Dispatcher
}

export interface HttpAnswer {
  status: number
  header(name: string): string | null
  body: AsyncIterable<Uint8Array>
  /** The body as text. @throws HolonError download_failed when it is longer than `maxBytes` */
  text(maxBytes: number): Promise<string>
  /** Ends the connection without reading the body. */
  discard(): Promise<void>
}

const maxRedirects = 5
let dispatcher: Dispatcher | undefined

/** One pool for all downloads; a company's proxy is honoured. */
function pool(): Dispatcher {
  const proxied = ['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].some((name) => process.env[name])
  dispatcher ??= proxied ? new EnvHttpProxyAgent() : new Agent({ connect: { timeout: 15_000 } })
  return dispatcher
}

/**
 * Follows up to five redirects and returns the last answer, whatever its status.
 * @throws TransientFault when there is no answer; HolonError download_failed for a redirect that must not be followed;
 * the signal's reason when it was aborted
 */
export async function httpGet(
  url: string,
  access: HttpAccess,
  options: { signal: AbortSignal; headers?: Record<string, string> },
): Promise<HttpAnswer> {
  let current = new URL(url)
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const answer = await once(current, access, options)
    const location = answer.header('location')
    if (answer.status < 300 || answer.status >= 400 || answer.status === 304 || location === null)
      return answer
    await answer.discard()
    if (!URL.canParse(location, current.href)) break
    const target = new URL(location, current)
    if (current.protocol === 'https:' && target.protocol !== 'https:') {
      throw new HolonError(
        'download_failed',
        `${current.host} redirects to an unencrypted address; not followed.`,
      )
    }
    current = target
  }
  throw new HolonError('download_failed', `${new URL(url).host} redirects without end.`)
}

async function once(
  url: URL,
  access: HttpAccess,
  options: { signal: AbortSignal; headers?: Record<string, string> },
): Promise<HttpAnswer> {
  const mayHaveToken = access.token && url.origin === access.tokenOrigin
  const response = await request(url, {
    dispatcher: access.dispatcher ?? pool(),
    signal: options.signal,
    headersTimeout: access.stallMs,
    bodyTimeout: access.stallMs,
    headers: {
      'user-agent': 'holon',
      'accept-encoding': 'identity',
      ...(mayHaveToken ? { authorization: `Bearer ${access.token}` } : {}),
      ...options.headers,
    },
  }).catch((cause) => {
    options.signal.throwIfAborted()
    throw new TransientFault(`${url.host} did not answer: ${networkReason(cause)}.`, { cause })
  })
  const { body } = response
  const chunks = eagerChunks(body)
  return {
    status: response.statusCode,
    header: (name) => firstOf(response.headers[name]),
    body: chunks,
    text: (maxBytes) => textOf(chunks, maxBytes, url),
    discard: async () => {
      body.destroy()
    },
  }
}

async function textOf(body: AsyncIterable<Uint8Array>, maxBytes: number, url: URL): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  try {
    for await (const chunk of body) {
      length += chunk.length
      if (length > maxBytes) break
      chunks.push(chunk)
    }
  } catch (cause) {
    throw new TransientFault(`${url.host} broke off its answer: ${networkReason(cause)}.`, { cause })
  }
  if (length > maxBytes)
    throw new HolonError('download_failed', `${url.host} answered far more than expected.`)
  return Buffer.concat(chunks).toString('utf8')
}

function firstOf(value: string | string[] | undefined): string | null {
  return (Array.isArray(value) ? value[0] : value) ?? null
}

/** The reason of a network failure in plain words. */
export function networkReason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  const code = 'code' in cause ? String(cause.code) : ''
  const known: Record<string, string> = {
    ENOTFOUND: 'the name is not known (is this machine online?)',
    EAI_AGAIN: 'the name could not be looked up (is this machine online?)',
    ECONNREFUSED: 'the connection was refused',
    ECONNRESET: 'the connection was cut',
    UND_ERR_SOCKET: 'the connection was cut',
    UND_ERR_HEADERS_TIMEOUT: 'no answer came in time',
    UND_ERR_BODY_TIMEOUT: 'the transfer stalled',
    UND_ERR_CONNECT_TIMEOUT: 'no connection in time',
  }
  return known[code] ?? (cause.message || code || cause.name)
}
