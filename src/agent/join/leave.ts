/** Telling the hub that this machine will not come back, so that its credential is void there too. */
import { HolonError } from '../../core/errors.ts'
import { tlsProblem } from '../../core/tls-problem.ts'
import type { NodeIdentity } from './identity.ts'

const answerWithinMs = 15_000

/** @throws HolonError hub_unreachable */
export async function leaveFleet(
  { hub, nodeId, credential }: NodeIdentity,
  send: typeof fetch = fetch,
): Promise<void> {
  let status: number
  try {
    const response = await send(`${hub}/fleet/v1/leave`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ nodeId, credential }),
      signal: AbortSignal.timeout(answerWithinMs),
      redirect: 'error',
    })
    await response.arrayBuffer()
    status = response.status
  } catch (cause) {
    const tls = tlsProblem(cause)
    if (tls) throw new HolonError('hub_unreachable', `${hub} ${tls.what}.`, { hint: tls.hint, cause })
    throw new HolonError('hub_unreachable', `No hub answers at ${hub}.`, { cause })
  }
  // Unknown or revoked: it has forgotten us already.
  if (status === 200 || status === 401 || status === 403) return
  throw new HolonError('hub_unreachable', `The hub at ${hub} answered ${status}.`)
}
