/** Hub side of vLLM over several machines: how many cards share a layer, and how many stages there are. */
import { z } from 'zod'
import type { PoolPlan } from '../pool-engine.ts'
import { impossible, refuseAlone, refuseUnable } from '../shared/refuse-plan.ts'
import { needsRay } from './find-vllm.ts'

const count = z.number().int().min(1).max(1024)
export const vllmSettings = z.object({
  launcher: z.enum(['own', 'ray']),
  tensor: count,
  pipeline: count,
  contextTokens: z.number().int().min(1),
  /** What this member may take, bytes. */
  limitBytes: z.number().nonnegative(),
  parallel: count,
})
export type VllmSettings = z.infer<typeof vllmSettings>

export function layoutVllm(plan: PoolPlan): VllmSettings[] {
  refuseAlone(plan, 'vLLM')
  refuseUnable(plan, 'vLLM')
  const { members, model, strategy, contextTokens, parallel } = plan
  const cards = members.map(({ facts }) => Math.max(1, facts.devices.length))
  const each = cards[0] ?? 1
  const odd = members.find((_, rank) => cards[rank] !== each)
  if (odd) {
    throw impossible(
      `vLLM needs as many cards on every member; ${members[0]?.node} has ${each} and ${odd.node} ${odd.facts.devices.length}.`,
      'Hide cards with CUDA_VISIBLE_DEVICES where the agent starts, or use --engine llama-rpc.',
    )
  }
  if (members.every(({ facts }) => facts.modelPath === null)) {
    throw impossible(
      `None of the members has ${model} as a folder that vLLM can read.`,
      'Get it on one of them.',
    )
  }
  const tensor = strategy === 'tensor' ? each * members.length : each
  const pipeline = strategy === 'tensor' ? 1 : members.length
  const heads = members.find(({ facts }) => facts.cut != null)?.facts.cut?.heads
  if (heads !== undefined && heads % tensor !== 0) {
    throw impossible(
      `${model} has ${heads} attention heads, which cannot be divided among ${tensor} cards.`,
      strategy === 'tensor'
        ? 'Take the pipeline split, or fewer members.'
        : 'Use fewer cards on each member.',
    )
  }
  const version = /^vllm (\S+)/.exec(members[0]?.facts.build ?? '')?.[1] ?? '0'
  const launcher = needsRay(version) ? 'ray' : 'own'
  return members.map(({ limitBytes }) => ({
    launcher,
    tensor,
    pipeline,
    contextTokens,
    limitBytes,
    parallel,
  }))
}
