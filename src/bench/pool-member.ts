/**
 * One member of the pool bench as a process of its own, as agents are: a wire's two ends in one process would share a
 * thread that they do not share in life. Argument 1: its home. Argument 2: where the engines are. Argument 3, of the head:
 * the folder of the models. It does what it is told by IPC, one thing at a time, and ends with its parent.
 */
import { join } from 'node:path'
import { homeAt } from '../core/home.ts'
import { silentLog } from '../core/log.ts'
import { llamaRpc } from '../pool/llama-rpc/index.ts'
import type { MemberHost } from '../pool/pool-engine.ts'
import type { OpenPart, PartSpec, PeerAddress } from '../protocol/pool.ts'

export type Order =
  | { do: 'inspect'; model: string }
  | { do: 'open'; spec: PartSpec }
  | { do: 'start'; peers: PeerAddress[] }
  | { do: 'awaitDeath' }
  | { do: 'stop' }

/** Where the head answers. */
export interface HeadAddress {
  origin: string
  headers: Readonly<Record<string, string>>
}

const [home = '', engines = '', models] = process.argv.slice(2)
const host: MemberHost = {
  home: { ...homeAt(home), engines },
  log: silentLog,
  findModel: (id) => (models === undefined ? null : { path: join(models, `${id}.gguf`), sizeBytes: 1 }),
  memory: () => ({ budgetBytes: 1e12, usedBytes: 0 }),
}
const { signal } = new AbortController()
let part: OpenPart | null = null

async function obey(order: Order): Promise<unknown> {
  if (order.do === 'inspect') return llamaRpc.inspect(host, order.model)
  if (order.do === 'open') {
    part = await llamaRpc.open(order.spec, host, signal)
    return part.listening
  }
  if (part === null) throw new Error('no part is open')
  if (order.do === 'awaitDeath') return part.died
  if (order.do === 'stop') return part.stop()
  const running = await part.start(order.peers, { signal })
  const lease = running.lease?.()
  return lease ? ({ origin: lease.origin, headers: lease.headers } satisfies HeadAddress) : null
}

process.on('message', (order: Order) => {
  obey(order).then(
    (value) => process.send?.({ value }),
    (error: Error) => process.send?.({ error: error.message }),
  )
})
process.on('disconnect', () => {
  void Promise.resolve(part?.stop()).finally(() => process.exit(0))
})
