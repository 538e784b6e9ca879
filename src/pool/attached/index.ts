import type { PoolEngine } from '../pool-engine.ts'
import { inspectAttached } from './inspect.ts'
import { layoutAttached } from './layout.ts'
import { openAttached } from './open.ts'

/** Any OpenAI server that is a cluster already: Ray Serve, GPUStack, SGLang, a vLLM that its owner runs. */
export const attachedPool: PoolEngine = {
  id: 'attached',
  title: 'A cluster that is already there',
  concurrent: true,
  layout: layoutAttached,
  inspect: inspectAttached,
  open: openAttached,
}
