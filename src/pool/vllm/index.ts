import type { PoolEngine } from '../pool-engine.ts'
import { inspectVllm } from './inspect.ts'
import { layoutVllm } from './layout.ts'
import { openVllm } from './open.ts'

/** vLLM over several machines, by its own launcher or by Ray. */
export const vllmPool: PoolEngine = {
  id: 'vllm',
  title: 'vLLM multi-node',
  concurrent: true,
  needsIsolatedLink:
    'vLLM’s members talk by NCCL and gloo on ports of their own choosing, which cannot travel inside the encrypted wire',
  layout: layoutVllm,
  inspect: inspectVllm,
  open: openVllm,
}
