/**
 * A plan as settings of each part. Layers go to devices in the order of `--device`. A head with a GPU comes last, so
 * that the output layer is its own and no logits (600 kB a token for a vocabulary of 150,000) cross the wire; a head
 * that computes on its CPU holds the first layers, because llama.cpp keeps there what is not offloaded, and is given the
 * output layer by name.
 */
import { z } from 'zod'
import { HolonError } from '../../core/errors.ts'
import type { PlannedMember, PoolPlan } from '../pool-engine.ts'

const count = z.number().int().min(0).max(100_000)
const devices = z.array(z.string().regex(/^[\w.-]{1,64}$/)).max(64)
const common = {
  /** llama.cpp's own words; parts of differing builds never meet. */
  build: z.string().max(200),
  /** What the planner lets this member take, bytes. */
  limitBytes: z.number().nonnegative(),
  threads: z.number().int().min(1).max(1024).nullish(),
  /** Remote direct memory access on an isolated link whose both ends have it. */
  rdma: z.boolean().default(false),
}

export const workerSettings = z.object({
  role: z.literal('worker'),
  ...common,
  devices,
  /** Keep received weights on the disk, so that the next start sends only their fingerprints. */
  cache: z.boolean().default(true),
})
export type WorkerSettings = z.infer<typeof workerSettings>

export const headSettings = z.object({
  role: z.literal('head'),
  ...common,
  /** GPUs of the head itself, after all others; empty when it computes on its CPU. */
  devices,
  headLayers: count,
  /** In the order of their layers. */
  workers: z.array(
    z.object({ rank: z.number().int().min(1), layers: count, devices: z.number().int().min(1) }),
  ),
  contextTokens: z.number().int().min(1),
  parallel: z.number().int().min(1).max(1024),
  /** Adapters as GGUF files on the head's machine. */
  lora: z
    .array(z.object({ path: z.string().max(4096), scale: z.number().default(1) }))
    .max(16)
    .default([]),
})
export type HeadSettings = z.infer<typeof headSettings>

/** @throws HolonError pool_impossible */
export function layoutLlamaRpc(plan: PoolPlan): Record<string, unknown>[] {
  const [head, ...workers] = plan.members
  if (!head || workers.length === 0) {
    throw impossible(
      'A pool needs at least two members.',
      'Name more with --nodes, or load the model on one node.',
    )
  }
  if (plan.strategy !== 'pipeline') {
    throw impossible('llama.cpp RPC splits a model by layers only.', 'Choose the pipeline placement.')
  }
  for (const member of plan.members) checkMember(member, head)
  if (head.facts.modelPath === null) {
    throw impossible(
      `The model is not on ${head.node}, which is the head and reads it.`,
      `Pull it there, or put a node that has it first.`,
    )
  }
  const build = head.facts.build ?? ''
  const gpus = head.facts.devices.filter((device) => device !== 'CPU')
  const settings: HeadSettings = {
    role: 'head',
    build,
    limitBytes: head.limitBytes,
    rdma: false,
    devices: gpus,
    headLayers: head.layers,
    workers: workers.map((worker, index) => ({
      rank: index + 1,
      layers: worker.layers,
      devices: worker.facts.devices.length,
    })),
    contextTokens: plan.contextTokens,
    parallel: plan.parallel,
    lora: [],
  }
  return [
    settings,
    ...workers.map(
      ({ facts, limitBytes }): WorkerSettings => ({
        role: 'worker',
        build,
        limitBytes,
        rdma: false,
        devices: facts.devices,
        cache: true,
      }),
    ),
  ]
}

function checkMember({ node, facts, layers }: PlannedMember, head: PlannedMember): void {
  if (facts.whyNot !== null) throw impossible(`${node} cannot take part: ${facts.whyNot}`)
  if (facts.build !== head.facts.build) {
    throw impossible(
      `${head.node} has ${head.facts.build ?? 'no llama.cpp'} and ${node} has ${facts.build ?? 'none'}; RPC works between equal builds only.`,
      'Run `holon engines install llama.cpp` on both.',
    )
  }
  if (node !== head.node && facts.devices.length === 0) {
    throw impossible(`${node} names no device to compute on.`, 'Run `holon doctor` there.')
  }
  if (node !== head.node && layers < 1) {
    throw impossible(`${node} would hold no layer.`, 'Leave it out, or give it more memory.')
  }
}

const impossible = (why: string, hint?: string): HolonError =>
  new HolonError('pool_impossible', why, { hint })

/** What the head says to llama-server of devices: `endpoints` as reached from the head, in the order of `workers`. */
export function deviceArguments(
  settings: HeadSettings,
  modelLayers: number,
  endpoints: readonly string[],
): string[] {
  const { devices: own, workers } = settings
  const shares = [settings.headLayers, ...workers.map(({ layers }) => layers)]
  const [headLayers = 0, ...workerLayers] = scaleTo(modelLayers, shares)
  const remote = workers.flatMap((worker, index) => spread(workerLayers[index] ?? 0, worker.devices))
  const names = remote.map((_, index) => `RPC${index}`)
  const split = own.length > 0 ? [...remote, ...spread(headLayers, own.length)] : remote
  // llama.cpp counts the output layer as one more, at the end.
  split.push((split.pop() ?? 0) + 1)
  const offloaded = split.reduce((sum, layers) => sum + layers, 0)
  const args = ['--rpc', endpoints.join(',')]
  args.push('--device', [...names, ...own].join(','), '--tensor-split', split.join(','))
  args.push('-ngl', String(offloaded))
  // The name of the output layer, and of what models with tied embeddings use in its place.
  if (own.length === 0) args.push('--override-tensor', '^(output|token_embd)\\.weight$=CPU')
  return args
}

/** Whole numbers in proportion to `parts` that add up to `total`: the planner may have counted layers from a name. */
export function scaleTo(total: number, parts: readonly number[]): number[] {
  const sum = parts.reduce((a, b) => a + b, 0)
  if (sum === 0) return parts.map((_, index) => (index === parts.length - 1 ? total : 0))
  let before = 0
  let taken = 0
  return parts.map((part) => {
    before += part
    const upTo = Math.round((before / sum) * total)
    const here = upTo - taken
    taken = upTo
    return here
  })
}

const spread = (layers: number, over: number): number[] =>
  scaleTo(
    layers,
    Array.from({ length: over }, () => 1),
  )
