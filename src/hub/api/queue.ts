/** GET /fleet/v1/queue: who is answered and who waits, at which model, and for about how long. */
import { queueResponse } from '../../protocol/keys.ts'
import type { NodeHandle } from '../../protocol/node.ts'
import type { Keyring } from '../auth/keyring.ts'
import type { Admission } from '../gateway/admission.ts'
import type { Operation } from './operations.ts'

export function queueOperation(admission: Admission, ring: Keyring, nodes: readonly NodeHandle[]): Operation {
  return {
    method: 'get',
    path: '/fleet/v1/queue',
    summary: 'Who is answered and who waits: per model and node, and in it per key and lane.',
    request: null,
    response: queueResponse,
    run: async () => ({
      lines: admission.view().map((line) => ({
        ...line,
        node: nodes.find(({ id }) => id === line.node)?.name ?? line.node,
        parts: line.parts.map((part) => ({ ...part, caller: ring.get(part.caller)?.name ?? part.caller })),
      })),
    }),
  }
}
