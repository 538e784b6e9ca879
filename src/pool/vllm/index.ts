import type { PoolEngine } from '../pool-engine.ts'
import { inspectVllm } from './inspect.ts'
import { layoutVllm } from './layout.ts'
import { openVllm } from './open.ts'

/** vLLM over several machines, by its own launcher or by Ray. */
export const vllmPool: PoolEngine = {
  id: 'vllm',
  title: 'vLLM multi-node',
  concurrent: true,
  layout: layoutVllm,
  inspect: inspectVllm,
  open: openVllm,
}
