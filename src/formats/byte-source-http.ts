import { HolonError } from '../core/errors.ts'
import type { ByteSource } from './byte-source.ts'

/**
 * Reads byte ranges from a server, so that a model can be described without downloading it.
 * A credential in `headers` goes to the host named in `url` only: fetch drops it on a redirect to another origin.
 * @throws HolonError download_failed when the server cannot be reached, stalls or does not answer byte ranges
 */
export function httpByteSource(
  url: string,
  options: { headers?: Record<string, string>; timeoutMs?: number } = {},
): ByteSource {
  const name = withoutSecrets(url)
  let size: number | null = null

  async function read(offset: number, length: number): Promise<Uint8Array> {
    if (length <= 0 || (size !== null && offset >= size)) return new Uint8Array(0)
    const response = await fetch(url, {
      headers: {
        ...options.headers,
        range: `bytes=${offset}-${offset + length - 1}`,
        'accept-encoding': 'identity',
      },
      signal: AbortSignal.timeout(options.timeoutMs ?? 30_000),
    }).catch((cause) => {
      throw new HolonError('download_failed', `Could not read ${name}: ${reason(cause)}.`, { cause })
    })
    if (response.status === 416) {
      await response.body?.cancel()
      size = totalOf(response.headers.get('content-range')) ?? size
      return new Uint8Array(0)
    }
    if (response.status !== 206) {
      await response.body?.cancel()
      const what =
        response.status === 200
          ? 'the server does not answer byte ranges'
          : `the server answered ${response.status} ${response.statusText}`.trim()
      throw new HolonError('download_failed', `Could not read ${name}: ${what}.`)
    }
    size = totalOf(response.headers.get('content-range')) ?? size
    return readAtMost(response, length, name)
  }

  return {
    name,
    get size() {
      return size
    },
    chunkBytes: 1024 * 1024,
    read,
    close: async () => undefined,
  }
}

/** A server that sends more than was asked for must not fill the memory. */
async function readAtMost(response: Response, length: number, name: string): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let filled = 0
  try {
    for await (const chunk of response.body ?? []) {
      const part = (chunk as Uint8Array).subarray(0, length - filled)
      bytes.set(part, filled)
      filled += part.length
      if (filled === length) break
    }
  } catch (cause) {
    throw new HolonError('download_failed', `Reading ${name} broke off: ${reason(cause)}.`, { cause })
  }
  return bytes.subarray(0, filled)
}

function totalOf(contentRange: string | null): number | null {
  const total = /\/(\d{1,15})$/.exec(contentRange ?? '')?.[1]
  return total === undefined ? null : Number(total)
}

/** A URL fit for a message: no user, password or query (signed addresses carry secrets there). */
function withoutSecrets(url: string): string {
  try {
    const { origin, pathname } = new URL(url)
    return `${origin}${pathname}`
  } catch {
    return 'the address'
  }
}

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if (cause.name === 'TimeoutError') return 'the server did not answer in time'
  return cause.cause instanceof Error ? cause.cause.message : cause.message
}
