/**
 * Hub side of MLX distributed: refuses what it cannot run before anything starts, and chooses the RDMA devices where
 * every pair of members has a cable for it. MLX gives every member the same share; it has no way to do otherwise.
 */
import { z } from 'zod'
import { formatBytes } from '../../core/units.ts'
import type { MemberFacts, NetworkInterface } from '../../protocol/pool.ts'
import type { PoolPlan } from '../pool-engine.ts'
import { impossible, refuseAlone, refuseUnable } from '../shared/refuse-plan.ts'

export const mlxSettings = z.object({
  strategy: z.enum(['pipeline', 'tensor']),
  /**
   * `rdma[i][j]` is the device of rank i whose cable leads to rank j. Used on a link that its owner accepted as isolated,
   * because nothing can encrypt RDMA; null where a pair has no such cable, and then it is TCP in a ring.
   */
  rdma: z.array(z.array(z.string().nullable())).nullable(),
})
export type MlxSettings = z.infer<typeof mlxSettings>

export function layoutMlx(plan: PoolPlan): MlxSettings[] {
  refuseAlone(plan, 'MLX')
  refuseUnable(plan, 'MLX')
  const { members, strategy } = plan
  const count = members.length
  const cut = members.find(({ facts }) => facts.cut != null)?.facts.cut
  if (!cut)
    throw impossible(
      `None of the members has ${plan.model} as a folder that MLX can read.`,
      'Get it on one of them.',
    )
  if (!cut.strategies.includes(strategy)) throw noSuchSplit(plan, cut.strategies)
  if (strategy === 'tensor' && (cut.heads % count !== 0 || cut.kvHeads % count !== 0)) {
    const heads = cut.heads % count === 0 ? `${cut.kvHeads} key-value heads` : `${cut.heads} attention heads`
    throw impossible(
      `${plan.model} has ${heads}, which cannot be divided among ${count} members.`,
      divisors(cut.heads, cut.kvHeads, cut.strategies.includes('pipeline')),
    )
  }
  if (strategy === 'pipeline' && cut.layers < count) {
    throw impossible(
      `${plan.model} has ${cut.layers} layers, too few for ${count} members.`,
      'Name fewer members.',
    )
  }
  refuseNarrow(plan, strategy === 'tensor' ? 1 / count : Math.ceil(cut.layers / count) / cut.layers)
  const rdma = rdmaBetween(members.map(({ facts }) => facts))
  return members.map(() => ({ strategy, rdma }))
}

/** MLX splits evenly whatever the members have: the smallest decides. */
function refuseNarrow({ members, model }: PoolPlan, share: number): void {
  const modelBytes = members.find(({ facts }) => facts.modelBytes !== null)?.facts.modelBytes ?? 0
  for (const { node, limitBytes } of members) {
    if (modelBytes * share <= limitBytes) continue
    throw impossible(
      `MLX splits evenly: each of ${members.length} members holds ${formatBytes(modelBytes * share)} of ${model}, and ${node} may take ${formatBytes(limitBytes)}.`,
      'Leave the member out, give it a larger budget (HOLON_MEMORY_BUDGET_MB), or use --engine llama-rpc, which splits by memory.',
    )
  }
}

function noSuchSplit({ model, strategy }: PoolPlan, strategies: readonly string[]) {
  const has = strategies.length === 0 ? 'no split at all' : `only the ${strategies.join(' and ')} split`
  return impossible(
    `This mlx-lm has no ${strategy} split for the architecture of ${model}; it has ${has}.`,
    strategies.length === 0
      ? 'Use --engine llama-rpc with a GGUF of the model, or a newer mlx-lm.'
      : `Preview the pool with the ${strategies[0]} split: \`holon pool preview MODEL\`.`,
  )
}

function divisors(heads: number, kvHeads: number, pipeline: boolean): string {
  const fit = [2, 3, 4, 5, 6, 7, 8].filter((count) => heads % count === 0 && kvHeads % count === 0)
  const counts = fit.length === 0 ? '' : `Use ${fit.join(', ')} members. `
  return `${counts}${pipeline ? 'The pipeline split needs no such number.' : 'Or use --engine llama-rpc, which splits by layers.'}`
}

/** Only where every pair has a cable of its own: JACCL sends from each to each. */
function rdmaBetween(members: readonly MemberFacts[]): (string | null)[][] | null {
  const matrix = members.map((from) =>
    members.map((to) => (from === to ? null : (cableBetween(from, to) ?? undefined))),
  )
  const whole = matrix.every((row, i) => row.every((device, j) => i === j || typeof device === 'string'))
  return whole ? matrix.map((row) => row.map((device) => device ?? null)) : null
}

/** The RDMA device here whose interface is on one subnet with one of the other's that has RDMA too. */
function cableBetween(from: MemberFacts, to: MemberFacts): string | null {
  const ours = rdmaPorts(from)
  const theirs = rdmaPorts(to)
  const port = ours.find((here) => theirs.some((there) => sameSubnet(here, there)))
  return port === undefined ? null : `rdma_${port.name}`
}

function rdmaPorts({ interfaces, devices }: MemberFacts): NetworkInterface[] {
  return interfaces.filter(({ name }) => devices.includes(`rdma_${name}`))
}

function sameSubnet(one: NetworkInterface, other: NetworkInterface): boolean {
  if (one.prefix === null || one.prefix !== other.prefix) return false
  const [a, b] = [ipv4(one.address), ipv4(other.address)]
  if (a === null || b === null || a === b) return false
  const size = 2 ** (32 - one.prefix)
  return Math.floor(a / size) === Math.floor(b / size)
}

function ipv4(address: string): number | null {
  const parts = address.split('.').map(Number)
  if (parts.length !== 4 || parts.some((part) => !Number.isInteger(part) || part < 0 || part > 255))
    return null
  return parts.reduce((sum, part) => sum * 256 + part, 0)
}
