/** Binding the port, with an error that says who is there already. */
import type { AddressInfo, Server } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { request } from 'undici'
import { HolonError } from '../core/errors.ts'

/**
 * @returns the URL to call, with the port the system chose when 0 was asked
 * @throws HolonError port_in_use, config_invalid
 */
export async function listenOn(server: Server, host: string, port: number): Promise<string> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', reject)
        resolve()
      })
    })
  } catch (error) {
    throw await explain(error as NodeJS.ErrnoException, host, port)
  }
  const address = server.address() as AddressInfo
  return urlOf(host, address.port, server instanceof TlsServer ? 'https' : 'http')
}

function urlOf(host: string, port: number, scheme = 'http'): string {
  const name = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `${scheme}://${name.includes(':') ? `[${name}]` : name}:${port}`
}

async function explain(error: NodeJS.ErrnoException, host: string, port: number): Promise<HolonError> {
  if (error.code === 'EADDRINUSE') {
    const who = await whoListens(urlOf(host, port))
    return new HolonError(
      'port_in_use',
      `Port ${port} on ${host} is already in use${who ? ` by ${who}` : ''}.`,
      {
        cause: error,
      },
    )
  }
  if (error.code === 'EACCES') {
    return new HolonError('config_invalid', `This user may not listen on port ${port}.`, {
      hint: 'Choose a port above 1023 with --port N or HOLON_PORT.',
      cause: error,
    })
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND') {
    return new HolonError('config_invalid', `"${host}" is no address of this machine.`, {
      hint: 'Use --host 127.0.0.1.',
      cause: error,
    })
  }
  return new HolonError('config_invalid', `Listening on ${host}:${port} failed: ${error.message}.`, {
    cause: error,
  })
}

/** Asks the one who holds the port for its name; null when it does not tell within a second. */
async function whoListens(url: string): Promise<string | null> {
  const signal = AbortSignal.timeout(1_000)
  try {
    const response = await request(`${url}/fleet/v1/status`, { signal })
    const body = (await response.body.text()).slice(0, 10_000)
    if (response.statusCode === 200) {
      const status = JSON.parse(body) as { version?: unknown; pid?: unknown }
      if (typeof status.pid === 'number') return `Holon ${String(status.version)} (process ${status.pid})`
    }
    const root = await request(url, { signal })
    const text = (await root.body.text()).slice(0, 200)
    if (text.startsWith('Ollama is running')) return 'Ollama'
    const server = root.headers.server
    return typeof server === 'string'
      ? `a server that calls itself "${server.slice(0, 60)}"`
      : 'another web server'
  } catch {
    return null
  }
}
