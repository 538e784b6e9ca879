import { kvBytesAllotted, kvBytesStored } from './kv-cache.ts'
import type { Setup } from './speed/setup.ts'

/**
 * Memory of one member: weights it holds, KV cache for the whole context allotted, scratch buffers by engine, and what
 * the process itself takes. A file is resident once; twice the file is a myth, not a rule.
 */

export interface MemoryUse {
  weightsBytes: number
  kvBytes: number
  /** Scratch: logits, activations of a micro-batch, and attention scores where there is no flash attention. */
  computeBytes: number
  /** Driver context and the process itself. */
  overheadBytes: number
  totalBytes: number
}

const MB = 1e6

/**
 * What a member of a llama.cpp pipeline is. The head holds the token table and the output layer beside its layers, since
 * logits on the wire would cost more than all else; a worker holds layers and nothing more.
 */
export type MemoryRole = 'whole' | 'head' | 'worker'

/**
 * The process of a pool's member on a processor, head or worker, beside weights, cache and scratch. Estimated from what
 * members held in `npm run bench -- links`, which prints said and held side by side.
 */
const MEMBER_PROCESS_BYTES = 20 * MB

/** What runtime and driver hold before the first byte of a model, by backend. Measured allocations less the rest. */
const overheadByBackend: Record<Setup['backend'], number> = {
  metal: 150 * MB,
  cuda: 350 * MB,
  vulkan: 600 * MB,
  rocm: 150 * MB,
  sycl: 400 * MB,
  cpu: 100 * MB,
  mlx: 100 * MB,
}

function llamaScratch(setup: Setup, role: MemoryRole): number {
  const { model } = setup
  const tokens = Math.min(setup.ubatch, Math.max(setup.contextTokens, 1))
  const logits = role === 'worker' ? 0 : tokens * model.vocab * 4
  const activations = tokens * model.hidden * 4 * 8
  const scores =
    setup.flash === false ? model.heads * setup.contextTokens * tokens * 4 : setup.contextTokens * tokens * 2
  return Math.max(logits + activations, scores + activations)
}

/** MLX keeps 16-bit logits and activations of one prefill step. */
function mlxScratch(setup: Setup): number {
  const tokens = Math.min(setup.ubatch, Math.max(setup.promptTokens, 1))
  return tokens * (setup.model.vocab * 2 + setup.model.hidden * 24)
}

/**
 * @param layerShare share of the layers this member holds; @param ways tensor ways the weights are cut in
 * @param process count what the whole process holds (token table and host buffers), not only the device
 * @param role of a member of a pipeline that has a head; `whole` shares everything out alike
 */
export function memoryUse(
  setup: Setup,
  layerShare: number,
  ways: number,
  process = false,
  role: MemoryRole = 'whole',
): MemoryUse {
  const { model, weights, batch } = setup
  const lookup =
    process || setup.engine.family !== 'llama.cpp' || setup.backend === 'cpu' ? weights.lookup : 0
  const atHead = role === 'whole' ? 0 : weights.head
  const ends = role === 'head' ? atHead + lookup : role === 'whole' ? lookup * layerShare : 0
  const weightsBytes = ((weights.total - weights.lookup - atHead) * layerShare) / ways + ends
  const perSequence =
    setup.engine.family === 'llama.cpp'
      ? kvBytesAllotted(model, setup.contextTokens, setup.kvBits, batch)
      : kvBytesStored(model, setup.contextTokens, setup.kvBits)
  const sequences = setup.engine.family === 'llama.cpp' ? 1 : batch
  const kvBytes = (perSequence * sequences * layerShare) / Math.min(ways, model.kv.shards)
  const computeBytes = setup.engine.family === 'mlx' ? mlxScratch(setup) : llamaScratch(setup, role)
  const bare = role !== 'whole' && setup.backend === 'cpu'
  const overheadBytes =
    (bare ? MEMBER_PROCESS_BYTES : overheadByBackend[setup.backend]) + (process ? 300 * MB : 0)
  return {
    weightsBytes,
    kvBytes,
    computeBytes,
    overheadBytes,
    totalBytes: weightsBytes + kvBytes + computeBytes + overheadBytes,
  }
}
