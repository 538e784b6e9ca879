/** Ports for engines that must be told one and cannot choose for themselves. */
import { createServer } from 'node:net'
import { HolonError } from '../../core/errors.ts'

/**
 * A port that was free a moment ago. Whoever binds it must still be ready to find it taken.
 * @throws HolonError pool_wire_failed when this machine does not have the address
 */
export function freePort(host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer()
    probe.once('error', (cause: NodeJS.ErrnoException) => {
      const why = cause.code === 'EADDRNOTAVAIL' ? 'is not an address of this machine' : (cause.code ?? '')
      reject(
        new HolonError('pool_wire_failed', `The engine cannot listen on ${host}: it ${why}.`, {
          hint: 'Look at the machine’s addresses with `holon profile`, and preview the pool again.',
          cause,
        }),
      )
    })
    probe.listen(0, host, () => {
      const address = probe.address()
      const port = typeof address === 'object' && address !== null ? address.port : 0
      probe.close(() => resolve(port))
    })
  })
}
