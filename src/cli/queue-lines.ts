import { HolonError } from '../core/errors.ts'
import type { QueueResponse } from '../protocol/keys.ts'
import type { HubClient } from './hub-client.ts'

/** Who is answered and who waits; null for a key that may not know, which is no reason to tell it nothing at all. */
export async function queueLines(hub: HubClient): Promise<QueueResponse['lines'] | null> {
  try {
    return (await hub.get<QueueResponse>('/fleet/v1/queue')).lines
  } catch (thrown) {
    if (thrown instanceof HolonError && thrown.code === 'key_not_allowed') return null
    throw thrown
  }
}
