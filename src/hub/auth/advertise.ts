/** Tells the local network that a hub is here, by mDNS: only of one that listens there anyway. */
import { hostname } from 'node:os'
import { Bonjour } from 'bonjour-service'
import type { Log } from '../../core/log.ts'

/** @returns the way to stop, which resolves when the network was told; never throws */
export function advertise(port: number, tls: boolean, version: string, log: Log): () => Promise<void> {
  try {
    const bonjour = new Bonjour({}, (error: unknown) =>
      log.warn({ error: String(error) }, 'mDNS does not work here'),
    )
    // No probe: two hubs of one name are told apart by address and port, and a probe of a taken name fails silently.
    const service = bonjour.publish({
      name: `${hostname()}-${port}`,
      type: 'holon',
      port,
      probe: false,
      txt: tls ? { version, tls: '1' } : { version },
    })
    service.on('error', (error: unknown) => log.warn({ error: String(error) }, 'mDNS does not work here'))
    return () =>
      new Promise((resolve) => {
        const late = setTimeout(resolve, 1_000)
        bonjour.unpublishAll(() => {
          clearTimeout(late)
          bonjour.destroy()
          resolve()
        })
      })
  } catch (error) {
    log.warn({ error: String(error) }, 'mDNS does not work here')
    return async () => undefined
  }
}
