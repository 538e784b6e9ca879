import type { PoolEngine } from '../pool-engine.ts'
import { inspectLlamaRpc } from './inspect.ts'
import { layoutLlamaRpc } from './layout.ts'
import { openLlamaRpc } from './open.ts'

/** llama.cpp over RPC: layers on several machines, one after the other, whatever their chips are. */
export const llamaRpc: PoolEngine = {
  id: 'llama-rpc',
  title: 'llama.cpp RPC',
  concurrent: true,
  // A head that cannot reach a worker aborts at once.
  workersFirst: true,
  layout: layoutLlamaRpc,
  inspect: inspectLlamaRpc,
  open: openLlamaRpc,
}
