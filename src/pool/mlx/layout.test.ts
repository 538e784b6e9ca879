import { describe, expect, test } from 'vitest'
import type { HolonError } from '../../core/errors.ts'
import type { MemberFacts, NetworkInterface } from '../../protocol/pool.ts'
import type { PoolPlan } from '../pool-engine.ts'
import { layoutMlx } from './layout.ts'

const GB = 1e9
const cable = (name: string, address: string): NetworkInterface => ({
  name,
  address,
  prefix: 30,
  kind: 'thunderbolt',
  lineBitS: 80e9,
})

function facts(over: Partial<MemberFacts> = {}): MemberFacts {
  return {
    whyNot: null,
    build: 'mlx 0.32.4, mlx-lm 0.32.2',
    devices: ['gpu'],
    modelPath: '/models/x',
    modelBytes: 60 * GB,
    cut: { layers: 48, heads: 32, kvHeads: 4, strategies: ['pipeline', 'tensor'] },
    diskFreeBytes: 1e12,
    memory: { budgetBytes: 96 * GB, usedBytes: 0 },
    interfaces: [],
    ...over,
  }
}

function plan(members: MemberFacts[], over: Partial<PoolPlan> = {}): PoolPlan {
  return {
    model: 'org/x',
    strategy: 'tensor',
    contextTokens: 8192,
    parallel: 1,
    members: members.map((each, rank) => ({
      node: `mac${rank}`,
      layers: 24,
      share: 1 / members.length,
      limitBytes: 96 * GB,
      facts: each,
    })),
    ...over,
  }
}

function refusal(of: PoolPlan): HolonError {
  try {
    layoutMlx(of)
  } catch (thrown) {
    return thrown as HolonError
  }
  throw new Error('it was not refused')
}

test('every rank gets the same settings, over TCP where no cable carries RDMA', () => {
  const settings = { strategy: 'tensor', rdma: null }
  expect(layoutMlx(plan([facts(), facts()]))).toEqual([settings, settings])
})

test('the model may be on one member alone: the others get it before the start', () => {
  const without = facts({ modelPath: null, modelBytes: null, cut: null })
  expect(layoutMlx(plan([facts(), without]))).toHaveLength(2)
})

describe('RDMA', () => {
  const one = facts({ devices: ['gpu', 'rdma_en5'], interfaces: [cable('en5', '192.168.0.1')] })
  const other = facts({ devices: ['gpu', 'rdma_en3'], interfaces: [cable('en3', '192.168.0.2')] })

  test('is used where each pair shares a subnet over ports that are up at both ends', () => {
    expect(layoutMlx(plan([one, other]))[0]!.rdma).toEqual([
      [null, 'rdma_en5'],
      ['rdma_en3', null],
    ])
  })

  test('is not used when one pair of three has no cable', () => {
    const third = facts({ devices: ['gpu', 'rdma_en4'], interfaces: [cable('en4', '192.168.0.9')] })
    const four = facts({ cut: { layers: 48, heads: 36, kvHeads: 6, strategies: ['tensor'] } })
    expect(layoutMlx(plan([{ ...one, cut: four.cut }, other, third]))[0]!.rdma).toBeNull()
  })

  test('is not used over a port that is down', () => {
    expect(layoutMlx(plan([one, { ...other, devices: ['gpu'] }]))[0]!.rdma).toBeNull()
  })
})

describe('is refused before anything starts', () => {
  test.each([
    ['a pool of one', plan([facts()]), /needs two members/],
    [
      'heads that do not divide',
      plan([facts(), facts(), facts()]),
      /32 attention heads, which cannot be divided among 3 members/,
    ],
    [
      'key-value heads that do not divide',
      plan(Array.from({ length: 8 }, () => facts())),
      /4 key-value heads.*8 members/,
    ],
    [
      'a split that mlx-lm does not have',
      plan([facts({ cut: { layers: 2, heads: 4, kvHeads: 4, strategies: ['tensor'] } }), facts()], {
        strategy: 'pipeline',
      }),
      /no pipeline split.*only the tensor split/,
    ],
    ['different builds', plan([facts(), facts({ build: 'mlx 0.31.0, mlx-lm 0.31.1' })]), /needs the same/],
    [
      'a member without mlx',
      plan([facts(), facts({ whyNot: 'mlx-lm is not installed.' })]),
      /mac1 cannot take part/,
    ],
    [
      'nobody has the model',
      plan([facts({ cut: null }), facts({ cut: null })]),
      /None of the members has org\/x/,
    ],
  ])('%s', (_, of, why) => {
    const error = refusal(of)
    expect(error.code).toBe('pool_impossible')
    expect(error.message).toMatch(why)
    expect(error.hint).toBeTruthy()
  })

  test('a small member, because MLX cannot split unevenly', () => {
    const uneven = plan([facts(), facts()])
    const [big, small] = uneven.members
    const error = refusal({ ...uneven, members: [big!, { ...small!, limitBytes: 20 * GB }] })
    expect(error.message).toBe(
      'MLX splits evenly: each of 2 members holds 30.0 GB of org/x, and mac1 may take 20.0 GB.',
    )
  })
})
